//! How many requests a store takes at one time: half as many when it says that
//! they are too many, slowly more while it does not.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::climb::Climb;

/// Answers that come this soon after a cut were asked for before it.
const ONE_CUT_IN: Duration = Duration::from_secs(1);

/// How much more slowly it grows to what was too much before.
const CAREFUL: f64 = 10.0;

/// What gains, and of it no more than the store takes: additive increase,
/// multiplicative decrease.
#[derive(Debug)]
pub(crate) struct Pace {
    climb: Climb,
    /// What the store takes; all that it is asked for, until it says that it is too much.
    takes: f64,
    taken: usize,
    /// All that might be under way was, when requests were last handed out.
    full: bool,
    /// A transfer would have had more parts under way than the level gives it.
    holds_back: bool,
    cut_at: Option<Duration>,
    /// So many were too many the last time.
    too_much: Option<f64>,
}

impl Pace {
    pub(crate) fn new(requests: &RangeInclusive<usize>) -> Self {
        Self {
            climb: Climb::new(*requests.start(), *requests.end()),
            takes: f64::INFINITY,
            taken: 0,
            full: false,
            holds_back: false,
            cut_at: None,
            too_much: None,
        }
    }

    /// So many from now on, as somebody said.
    pub(crate) fn set_limit(&mut self, requests: usize) {
        self.climb = Climb::new(requests, requests);
    }

    fn limit(&self) -> f64 {
        self.takes.min(self.climb.level() as f64)
    }

    pub(crate) fn has_room(&self) -> bool {
        (self.taken as f64) < self.limit().floor()
    }

    /// Whether there is room for one more at most, of several.
    pub(crate) fn has_one_left(&self) -> bool {
        let limit = self.limit().floor();
        limit > 1.0 && self.taken as f64 + 1.0 >= limit
    }

    pub(crate) fn take(&mut self) {
        self.taken += 1;
    }

    pub(crate) fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// So many parts of one transfer may be under way.
    pub(crate) fn parts(&self) -> usize {
        self.climb.parts()
    }

    /// A transfer would have had more under way.
    pub(crate) fn holds_back(&mut self) {
        self.holds_back = true;
    }

    /// As many requests were begun as there were to begin.
    pub(crate) fn handed_out(&mut self) {
        let holds_back = std::mem::take(&mut self.holds_back);
        self.full = holds_back || !self.has_room();
    }

    /// A request was answered; it moved so many bytes.
    ///
    /// One more for each round of as many answers as there may be requests; of
    /// what was too much before, one more for each [`CAREFUL`] rounds. `now` is monotonic.
    pub(crate) fn went_well(&mut self, bytes: u64, now: Duration) {
        let (limit, level) = (self.limit(), self.climb.level() as f64);
        if limit >= level {
            self.takes = f64::INFINITY;
            self.climb.answered(bytes, self.full, now);
        } else {
            let rounds = match self.too_much {
                Some(too_much) if limit + 1.0 > too_much => CAREFUL,
                _ => 1.0,
            };
            self.takes = limit + 1.0 / (limit * rounds);
        }
        if self.too_much.is_some_and(|most| limit >= most + 1.0) {
            self.too_much = None; // it is not any more
        }
    }

    /// `now` is monotonic.
    pub(crate) fn was_too_fast(&mut self, now: Duration) {
        // It works on so many, and did not want one more.
        let takes = (self.taken as f64).max(1.0);
        let since = self.cut_at.map(|at| now.saturating_sub(at));
        self.takes = match since.is_some_and(|since| since < ONE_CUT_IN) {
            true => self.limit().min(takes),
            false => {
                self.cut_at = Some(now);
                (self.limit() / 2.0).max(1.0)
            }
        };
        self.too_much = Some(takes + 1.0);
        self.climb.cut(self.taken, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(pace: &mut Pace) -> usize {
        let mut room = 0;
        while pace.has_room() {
            pace.take();
            room += 1;
        }
        (0..room).for_each(|_| pace.give_back());
        room
    }

    /// Of those that are under way, one is answered with a refusal.
    fn refuse(pace: &mut Pace, now: Duration) {
        pace.give_back();
        pace.was_too_fast(now);
    }

    #[test]
    fn a_throttled_store_gets_half_the_requests_and_no_more_than_it_works_on() {
        let mut pace = Pace::new(&(8..=8));
        (0..8).for_each(|_| pace.take());
        refuse(&mut pace, SECOND);
        assert_eq!(pace.limit(), 4.0);
        (0..3).for_each(|_| refuse(&mut pace, SECOND));
        assert_eq!(pace.limit(), 4.0, "those were under way before");
        refuse(&mut pace, SECOND);
        assert_eq!(pace.limit(), 3.0, "three it has not refused");
        for n in 2..20 {
            pace.was_too_fast(SECOND * n);
        }
        assert_eq!(pace.limit(), 1.0, "one at least");
    }

    #[test]
    fn it_grows_slowly_to_what_was_too_much_and_quickly_beyond() {
        let mut pace = Pace::new(&(12..=12));
        (0..4).for_each(|_| pace.take());
        pace.takes = 4.0;
        refuse(&mut pace, SECOND);
        let mut answers = 0;
        let mut until = |limit: f64| {
            while pace.limit() < limit {
                pace.went_well(0, SECOND);
                answers += 1;
            }
            answers
        };
        let soon = until(3.0);
        assert_eq!(soon, 3, "a round");
        let careful = until(4.0) - soon;
        assert!((20..40).contains(&careful), "{careful}");
        let beyond = until(5.0);
        let quickly = until(12.0) - beyond;
        assert!((50..80).contains(&quickly), "{quickly}");
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_goes_up_where_that_gains_and_only_as_far_as_the_store_takes() {
        let mut pace = Pace::new(&(2..=64));
        let mut now = Duration::ZERO;
        // Each is answered after 50 ms, however many there are.
        let mut round = |pace: &mut Pace| {
            now += Duration::from_millis(50);
            let mut under_way = 0;
            while pace.has_room() {
                pace.take();
                under_way += 1;
            }
            pace.handed_out();
            for _ in 0..under_way {
                pace.give_back();
                if under_way > 20 && now > 4 * SECOND {
                    pace.was_too_fast(now);
                } else {
                    pace.went_well(0, now);
                }
            }
            under_way
        };
        let first: Vec<usize> = (0..80).map(|_| round(&mut pace)).collect();
        assert_eq!((first[0], first[79]), (2, 64), "{first:?}");
        let throttled: Vec<usize> = (0..400).map(|_| round(&mut pace)).collect();
        let most = throttled[5..].iter().max();
        assert!(most <= Some(&22), "{throttled:?}");
    }

    #[test]
    fn a_lone_transfer_gets_more_parts_where_that_gains() {
        for gains in [true, false] {
            let mut pace = Pace::new(&(6..=256));
            let mut now = Duration::ZERO;
            assert_eq!(pace.parts(), 5, "fewer than the level");
            let mut most = 0;
            for _ in 0..400 {
                let parts = pace.parts();
                most = most.max(parts);
                (0..parts).for_each(|_| pace.take());
                pace.holds_back();
                pace.handed_out();
                // Each takes 50 ms, or waits for all others.
                let waits = if gains { 1 } else { parts as u32 };
                now += Duration::from_millis(50) * waits;
                for _ in 0..parts {
                    pace.give_back();
                    pace.went_well(8 << 20, now);
                }
            }
            match gains {
                true => assert!(most > 100, "{most}"),
                false => assert_eq!(most, 10),
            }
        }
    }

    #[test]
    fn a_lone_transfer_leaves_one_to_others_of_the_requests_that_were_set() {
        let mut pace = Pace::new(&(6..=256));
        pace.set_limit(12);
        assert_eq!(pace.parts(), 11);
        for few in [1, 3, 6] {
            assert_eq!(Pace::new(&(few..=few)).parts(), 5, "or what there is");
        }
    }

    #[test]
    fn a_limit_that_is_raised_counts_at_once_unless_the_store_is_throttled() {
        let mut pace = Pace::new(&(4..=4));
        pace.set_limit(9);
        assert_eq!(room(&mut pace), 9);
        pace.was_too_fast(Duration::ZERO);
        pace.set_limit(100);
        assert_eq!(room(&mut pace), 4);
    }
}
