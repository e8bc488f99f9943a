//! How many requests a store takes at one time: half as many when it says that
//! they are too many, slowly more while it does not.

use std::time::Duration;

/// Answers that come this soon after a cut were asked for before it.
const ONE_CUT_IN: Duration = Duration::from_secs(1);

/// How much more slowly it grows to what was too much before.
const CAREFUL: f64 = 10.0;

/// Additive increase, multiplicative decrease.
#[derive(Debug)]
pub(crate) struct Pace {
    most: f64,
    limit: f64,
    taken: usize,
    cut_at: Option<Duration>,
    /// So many were too many the last time.
    too_much: Option<f64>,
}

impl Pace {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            most,
            limit: most,
            taken: 0,
            cut_at: None,
            too_much: None,
        }
    }

    pub(crate) fn set_limit(&mut self, most: usize) {
        let unthrottled = self.limit >= self.most;
        self.most = most.max(1) as f64;
        self.limit = match unthrottled {
            true => self.most,
            false => self.limit.min(self.most),
        };
    }

    pub(crate) fn has_room(&self) -> bool {
        (self.taken as f64) < self.limit.floor()
    }

    pub(crate) fn take(&mut self) {
        self.taken += 1;
    }

    pub(crate) fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// One more for each round of as many answers as there may be requests; of
    /// what was too much before, one more for each [`CAREFUL`] rounds.
    pub(crate) fn went_well(&mut self) {
        let rounds = match self.too_much {
            Some(too_much) if self.limit + 1.0 > too_much => CAREFUL,
            _ => 1.0,
        };
        self.limit = (self.limit + 1.0 / (self.limit * rounds)).min(self.most);
        if self.too_much.is_some_and(|most| self.limit >= most + 1.0) {
            self.too_much = None; // it is not any more
        }
    }

    /// `now` is monotonic.
    pub(crate) fn was_too_fast(&mut self, now: Duration) {
        // It works on so many, and did not want one more.
        let takes = (self.taken as f64).max(1.0);
        let since = self.cut_at.map(|at| now.saturating_sub(at));
        self.limit = match since.is_some_and(|since| since < ONE_CUT_IN) {
            true => self.limit.min(takes),
            false => {
                self.cut_at = Some(now);
                (self.limit / 2.0).max(1.0)
            }
        };
        self.too_much = Some(takes + 1.0);
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
        let mut pace = Pace::new(8);
        (0..8).for_each(|_| pace.take());
        refuse(&mut pace, SECOND);
        assert_eq!(pace.limit, 4.0);
        (0..3).for_each(|_| refuse(&mut pace, SECOND));
        assert_eq!(pace.limit, 4.0, "those were under way before");
        refuse(&mut pace, SECOND);
        assert_eq!(pace.limit, 3.0, "three it has not refused");
        for n in 2..20 {
            pace.was_too_fast(SECOND * n);
        }
        assert_eq!(pace.limit, 1.0, "one at least");
    }

    #[test]
    fn it_grows_slowly_to_what_was_too_much_and_quickly_beyond() {
        let mut pace = Pace::new(12);
        (0..4).for_each(|_| pace.take());
        pace.limit = 4.0;
        refuse(&mut pace, SECOND);
        let mut answers = 0;
        let mut until = |limit: f64| {
            while pace.limit < limit {
                pace.went_well();
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
    fn a_limit_that_is_raised_counts_at_once_unless_the_store_is_throttled() {
        let mut pace = Pace::new(4);
        pace.set_limit(9);
        assert_eq!(room(&mut pace), 9);
        pace.was_too_fast(Duration::ZERO);
        pace.set_limit(100);
        assert_eq!(room(&mut pace), 4);
    }
}
