//! How many requests a store takes at one time: half as many when it says that
//! they are too many, slowly more while it does not.

use std::time::Duration;

/// Answers that come this soon after a cut were asked for before it.
const ONE_CUT_IN: Duration = Duration::from_secs(1);

/// Additive increase, multiplicative decrease.
#[derive(Debug)]
pub(crate) struct Pace {
    most: f64,
    limit: f64,
    taken: usize,
    cut_at: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            most,
            limit: most,
            taken: 0,
            cut_at: None,
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

    /// One more for each round of as many answers as there may be requests.
    pub(crate) fn went_well(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.most);
    }

    /// `now` is monotonic.
    pub(crate) fn was_too_fast(&mut self, now: Duration) {
        if self
            .cut_at
            .is_some_and(|at| now.saturating_sub(at) < ONE_CUT_IN)
        {
            return;
        }
        self.cut_at = Some(now);
        self.limit = (self.limit / 2.0).max(1.0);
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

    #[test]
    fn a_throttled_store_gets_half_the_requests_once_for_each_round() {
        let mut pace = Pace::new(8);
        assert_eq!(room(&mut pace), 8);
        let second = Duration::from_secs(1);
        for _ in 0..5 {
            pace.was_too_fast(second); // all those that were under way
        }
        assert_eq!(room(&mut pace), 4);
        for n in 2..20 {
            pace.was_too_fast(second * n);
        }
        assert_eq!(room(&mut pace), 1, "one at least");
    }

    #[test]
    fn it_recovers_by_one_for_each_round_up_to_the_limit() {
        let mut pace = Pace::new(4);
        pace.was_too_fast(Duration::ZERO);
        pace.was_too_fast(Duration::from_secs(2));
        assert_eq!(room(&mut pace), 1);
        pace.went_well();
        assert_eq!(room(&mut pace), 2);
        for _ in 0..100 {
            pace.went_well();
        }
        assert_eq!(room(&mut pace), 4);
    }

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
