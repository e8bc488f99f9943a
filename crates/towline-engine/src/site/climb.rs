//! How many requests at one time move the most: goes up while that gains, and back
//! where it does not.
//!
//! A level is judged by what is answered while as much is asked for as it allows. Where
//! the way is long, twice as many requests are answered twice as often; where the
//! bandwidth, the store or this machine is all in use, they are not, and cost.

use std::time::Duration;

use crate::config::FIRST_PARTS;

/// What is found out in less time, or by fewer answers, is noise.
const LOOK: Duration = Duration::from_millis(200);
const ANSWERS: u64 = 16;
/// Twice as many requests have to gain so much, or are too many.
const GAIN: f64 = 1.2;
/// Half as many may lose so much, and are enough.
const LOSS: f64 = 0.95;
/// How long a level stays that was found to be right, at first and at most.
const STAYS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(80)];

/// The level, and what is being found out about it.
#[derive(Debug)]
pub(crate) struct Climb {
    /// It begins here, and comes back to no less.
    least: usize,
    most: usize,
    level: usize,
    /// The level that this one is compared with, and what it moved.
    before: Option<(usize, Rate)>,
    seen: Seen,
    stays_until: Option<Duration>,
    stays: Duration,
    /// What is tried next.
    next: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// What was answered while all of the level was in use.
#[derive(Debug, Default)]
struct Seen {
    /// Those that were under way when it began count for the level before.
    passed_over: usize,
    since: Option<Duration>,
    answers: u64,
    bytes: u64,
    /// These were not, since less was asked for.
    not_full: usize,
}

/// In a second.
#[derive(Clone, Copy, Debug)]
struct Rate {
    answers: f64,
    bytes: f64,
}

impl Rate {
    /// How many times as much it is, by what gained more: small requests gain in
    /// number, large ones in bytes.
    fn over(self, before: Self) -> f64 {
        let by = |now: f64, before: f64| match before > 0.0 {
            true => now / before,
            false => 0.0,
        };
        by(self.answers, before.answers).max(by(self.bytes, before.bytes))
    }
}

impl Climb {
    /// From `least` to `most` requests.
    pub(crate) fn new(least: usize, most: usize) -> Self {
        let most = most.max(1);
        let least = least.clamp(1, most);
        Self {
            least,
            most,
            level: least,
            before: None,
            seen: Seen::default(),
            stays_until: None,
            stays: STAYS[0],
            next: Direction::Up,
        }
    }

    /// So many requests at one time.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// So many parts of one transfer. Beyond the first ones a request is left to others,
    /// which would wait for the end of a part.
    pub(crate) fn parts(&self) -> usize {
        let share = match self.least == self.most {
            true => self.level,
            false => FIRST_PARTS * self.level / self.least,
        };
        share.min(self.level - 1).max(FIRST_PARTS)
    }

    /// A request that moved so many bytes was answered; `full` is whether as many as
    /// the level allows were under way. `now` is monotonic.
    pub(crate) fn answered(&mut self, bytes: u64, full: bool, now: Duration) {
        if self.least == self.most || self.stays_until.is_some_and(|until| now < until) {
            return;
        }
        if !full {
            // It says nothing of the level; and where it is one of many, the rest neither.
            self.seen.not_full += 1;
            if self.seen.not_full > self.level {
                self.seen = Seen::default();
            }
            return;
        }
        if self.seen.passed_over < self.level {
            self.seen.passed_over += 1;
            return;
        }
        let since = *self.seen.since.get_or_insert(now);
        self.seen.answers += 1;
        self.seen.bytes += bytes;
        let took = now.saturating_sub(since);
        if took < LOOK || self.seen.answers < ANSWERS.max(2 * self.level as u64) {
            return;
        }
        let rate = Rate {
            answers: self.seen.answers as f64 / took.as_secs_f64(),
            bytes: self.seen.bytes as f64 / took.as_secs_f64(),
        };
        self.judge(rate, now);
    }

    /// The store took no more than this many: nothing is tried for a while.
    pub(crate) fn cut(&mut self, takes: usize, now: Duration) {
        self.level = takes.clamp(self.least, self.level.max(self.least));
        self.stay(now);
    }

    fn judge(&mut self, rate: Rate, now: Duration) {
        let Some((level, before)) = self.before.take() else {
            return self.tries(rate, now);
        };
        let (is_up, gain) = (self.level > level, rate.over(before));
        let is_better = match is_up {
            true => gain >= GAIN,
            false => gain >= LOSS,
        };
        if is_better {
            self.stays = STAYS[0];
            self.next = match is_up {
                true => Direction::Up,
                false => Direction::Down,
            };
            return self.tries(rate, now);
        }
        self.level = level;
        self.stay(now);
    }

    /// Another level, if there is one, to be compared with this one.
    fn tries(&mut self, rate: Rate, now: Duration) {
        let level = match self.next {
            Direction::Up => (2 * self.level).min(self.most),
            Direction::Down => (self.level / 2).max(self.least),
        };
        if level == self.level {
            return self.stay(now);
        }
        self.before = Some((self.level, rate));
        self.level = level;
        self.seen = Seen::default();
    }

    /// Later the other direction is tried, after longer and longer times.
    fn stay(&mut self, now: Duration) {
        self.before = None;
        self.seen = Seen::default();
        self.stays_until = Some(now + self.stays);
        self.stays = STAYS[1].min(2 * self.stays);
        self.next = match self.next {
            Direction::Down => Direction::Up,
            // There is nothing below.
            Direction::Up if self.level == self.least => Direction::Up,
            Direction::Up => Direction::Down,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    /// A store, the way to it, and this machine.
    #[derive(Clone, Copy)]
    struct World {
        /// From the first byte of a request to the first of its answer.
        round_trip: Duration,
        /// Shared by all requests.
        bytes_per_second: f64,
        /// What a request costs that no other can have meanwhile.
        work: Duration,
    }

    /// Sends requests for so long, all that the level allows, and gives how many a
    /// second were answered in each second, and the level at its end.
    fn course(
        climb: &mut Climb,
        world: World,
        bytes: u64,
        from: u64,
        secs: u64,
    ) -> Vec<(f64, usize)> {
        let cost = world.work.as_secs_f64() + bytes as f64 / world.bytes_per_second;
        let (mut free_at, mut under_way) = (from as f64, BinaryHeap::new());
        let micros = |secs: f64| (secs * 1e6) as u64;
        let mut now = from as f64;
        let mut course = Vec::new();
        let mut answers = 0;
        loop {
            while under_way.len() < climb.level() {
                // In turn through what is shared, and there and back.
                free_at = free_at.max(now) + cost;
                under_way.push(Reverse(micros(free_at + world.round_trip.as_secs_f64())));
            }
            let Reverse(next) = under_way.pop().unwrap();
            while next as f64 / 1e6 >= (from + course.len() as u64 + 1) as f64 {
                course.push((f64::from(answers), climb.level()));
                answers = 0;
                if course.len() as u64 == secs {
                    return course;
                }
            }
            now = next as f64 / 1e6;
            answers += 1;
            climb.answered(bytes, true, Duration::from_micros(next));
        }
    }

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn world(round_trip_ms: u64, bytes_per_second: u64, work_us: u64) -> World {
        World {
            round_trip: Duration::from_millis(round_trip_ms),
            bytes_per_second: bytes_per_second as f64,
            work: Duration::from_micros(work_us),
        }
    }

    #[test]
    fn over_a_long_way_small_requests_are_many_within_seconds() {
        let mut climb = Climb::new(6, 256);
        let course = course(&mut climb, world(40, 25 * MIB, 100), 4 * KIB, 0, 5);
        // 3,900 a second go through; 6 at one time are 150.
        assert!(course[0].1 > 6, "{course:?}");
        assert!(course[2].0 > 3800.0, "{course:?}");
    }

    #[test]
    fn where_this_machine_is_in_use_more_requests_are_not_tried_for_long() {
        let mut climb = Climb::new(6, 256);
        let course = course(&mut climb, world(0, 1 << 40, 100), 4 * KIB, 0, 60);
        let above = course.iter().filter(|(_, level)| *level > 6).count();
        assert!(above <= 6, "{course:?}");
        assert!(course.iter().all(|(_, level)| *level <= 12), "{course:?}");
    }

    #[test]
    fn on_a_slow_line_large_requests_stay_few() {
        // 1 Mbit/s, and a part of 5 MiB takes 42 s of it.
        let mut climb = Climb::new(6, 256);
        let course = course(&mut climb, world(40, 125_000, 100), 5 * MIB, 0, 3600);
        let most = course.iter().map(|(_, level)| *level).max();
        assert!(most <= Some(12), "{most:?}");
        let small = {
            let mut climb = Climb::new(6, 256);
            super::tests::course(&mut climb, world(40, 125_000, 100), 4 * KIB, 0, 60)
        };
        let most = small.iter().map(|(_, level)| *level).max();
        assert!(most <= Some(12), "{most:?}");
    }

    #[test]
    fn large_requests_over_a_wide_and_long_way_fill_it() {
        // 80 ms and 1 GB/s, of which one of 8 MiB at a time uses a tenth.
        let mut climb = Climb::new(6, 256);
        let course = course(&mut climb, world(80, 1_000_000_000, 100), 8 * MIB, 0, 10);
        assert!(course[9].0 > 100.0, "of 119: {course:?}");
        assert!(course[9].1 <= 48, "{course:?}");
    }

    #[test]
    fn it_comes_down_where_a_way_got_short() {
        let mut climb = Climb::new(6, 256);
        course(&mut climb, world(40, 25 * MIB, 100), 4 * KIB, 0, 10);
        let high = climb.level();
        assert!(high >= 96, "{high}");
        let course = course(&mut climb, world(0, 1 << 40, 100), 4 * KIB, 10, 300);
        assert!(climb.level() < high / 2, "{course:?}");
        assert!(course.iter().all(|(rate, _)| *rate > 9000.0), "{course:?}");
    }

    #[test]
    fn where_less_is_asked_for_nothing_is_found_out() {
        let mut climb = Climb::new(6, 256);
        for ms in 0..10_000 {
            climb.answered(0, ms % 2 != 0, Duration::from_millis(ms));
        }
        assert_eq!(climb.level(), 6);
    }

    #[test]
    fn a_store_that_refused_is_asked_for_no_more_for_a_while() {
        let mut climb = Climb::new(6, 256);
        course(&mut climb, world(40, 25 * MIB, 100), 4 * KIB, 0, 2);
        let high = climb.level();
        climb.cut(high / 2, Duration::from_secs(2));
        assert_eq!(climb.level(), high / 2);
        let course = course(&mut climb, world(40, 25 * MIB, 100), 4 * KIB, 2, 4);
        assert!(
            course.iter().all(|(_, level)| *level == high / 2),
            "{course:?}"
        );
    }

    #[test]
    fn a_number_that_was_set_stays() {
        let mut climb = Climb::new(3, 3);
        course(&mut climb, world(40, 25 * MIB, 100), 4 * KIB, 0, 5);
        assert_eq!(climb.level(), 3);
    }
}
