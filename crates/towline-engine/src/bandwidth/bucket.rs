//! A token bucket; the time is passed in.
//!
//! Who has bytes to move takes a place in line for them, and may move them once
//! as many bytes could have moved as there are up to the end of that place. So
//! who came first goes first, everybody knows how long to wait, and nobody is
//! kept waiting by one in front who does not move.

use std::time::Duration;

use super::Rate;
use crate::budget::BUFFER;

/// The fewest bytes that are worth a place, unless there are no more.
const LEAST: u64 = 1 << 10;

/// A place is for at most this part of a second's bytes: so that many share
/// them, and each one's connection is heard of now and then.
const PLACES: u64 = 20;

/// What was not used is kept for so large a part of a second.
const BURSTS: u64 = 10;

/// So many of what is counted are a byte: nothing is lost to rounding.
const BYTE: u128 = 1_000_000_000;

/// Lets bytes pass, so many a second.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: u64,
    /// Places of another series are void.
    series: u64,
    /// Where the line ends: bytes that ever had a place in it.
    end: u128,
    /// Those of them that have passed, or were given up.
    passed: u128,
    /// How many could have passed, in parts of a byte.
    allowed: u128,
    /// When that was so.
    at: Duration,
}

/// A place in the line of one bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    series: u64,
    bytes: u64,
    end: u128,
}

impl Bucket {
    /// One that lets a burst pass at once.
    pub(super) fn new(rate: Rate, series: u64, now: Duration) -> Self {
        let mut bucket = Self {
            rate: rate.bytes_per_second(),
            series,
            end: 0,
            passed: 0,
            allowed: 0,
            at: now,
        };
        bucket.allowed = bucket.burst();
        bucket
    }

    pub(super) fn rate(&self) -> Rate {
        Rate(self.rate)
    }

    /// Lets bytes pass at another rate from now on. All places are void: they
    /// were for as many bytes as the old rate made worth it.
    pub(super) fn set_rate(&mut self, rate: Rate, series: u64, now: Duration) {
        self.advance(now);
        let left = self.allowed.saturating_sub(self.passed * BYTE);
        *self = Self::new(rate, series, self.at);
        self.allowed = left.min(self.burst());
    }

    /// For how many of these bytes a place is to be had.
    pub(super) fn portion(&self, bytes: u64) -> u64 {
        bytes.min(self.largest())
    }

    /// Takes a place behind all others.
    pub(super) fn line_up(&mut self, bytes: u64, now: Duration) -> Place {
        self.advance(now);
        self.end += u128::from(bytes);
        Place {
            series: self.series,
            bytes,
            end: self.end,
        }
    }

    /// Whether the place is one in this line, and no void one.
    pub(super) fn knows(&self, place: Place) -> bool {
        place.series == self.series
    }

    /// Moves the bytes of a place, or tells how long that has to wait.
    pub(super) fn pass(&mut self, place: Place, now: Duration) -> Result<(), Duration> {
        self.advance(now);
        let short = (place.end * BYTE).saturating_sub(self.allowed);
        if short == 0 {
            self.passed += u128::from(place.bytes);
            return Ok(());
        }
        let nanos = short.div_ceil(u128::from(self.rate));
        Err(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }

    /// Gives up a place: those behind it move up.
    pub(super) fn leave(&mut self, place: Place) {
        if self.knows(place) {
            self.passed += u128::from(place.bytes);
            self.give_back(place.bytes);
        }
    }

    /// So many bytes that have passed did not move after all.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.allowed += u128::from(bytes) * BYTE;
    }

    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_nanos();
        self.at = self.at.max(now);
        let gained = u128::from(self.rate).saturating_mul(passed);
        let most = self.end * BYTE + self.burst();
        self.allowed = self.allowed.saturating_add(gained).min(most);
    }

    fn largest(&self) -> u64 {
        (self.rate / PLACES).clamp(LEAST, BUFFER as u64)
    }

    fn burst(&self) -> u128 {
        u128::from((self.rate / BURSTS).max(self.largest())) * BYTE
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const KIB: u64 = 1 << 10;
    const GIB: u64 = 1 << 30;

    fn rate(bytes: u64) -> Rate {
        Rate::from_bytes_per_second(bytes).unwrap()
    }

    /// So many always have bytes, for this long: how many each of them moves.
    fn flood(bucket: &mut Bucket, senders: usize, from: Duration, time: Duration) -> Vec<u64> {
        let mut moved = vec![0; senders];
        let mut line = VecDeque::new();
        let (mut now, end) = (from, from + time);
        let bytes = bucket.portion(u64::MAX);
        for sender in 0..senders {
            line.push_back((sender, bucket.line_up(bytes, now)));
        }
        while now <= end {
            let (sender, place) = line[0];
            match bucket.pass(place, now) {
                Ok(()) => {
                    line.pop_front();
                    moved[sender] += bytes;
                    line.push_back((sender, bucket.line_up(bytes, now)));
                }
                Err(wait) => now += wait,
            }
        }
        line.into_iter().for_each(|(_, place)| bucket.leave(place));
        moved
    }

    #[track_caller]
    fn assert_within(percent: u64, moved: u64, expected: u64) {
        let off = moved.abs_diff(expected) * 100;
        assert!(off <= percent * expected, "{moved} for {expected}");
    }

    #[test]
    fn t69_a_rate_holds_over_30_seconds_whatever_it_is_and_however_many_share_it() {
        for bytes in [64 * KIB, 100_001, 1024 * KIB, 125_000_000, GIB] {
            for senders in [1, 7, 200] {
                let mut bucket = Bucket::new(rate(bytes), 0, SECOND);
                let moved = flood(&mut bucket, senders, SECOND, 30 * SECOND);
                assert_within(2, moved.iter().sum(), 30 * bytes);
            }
        }
    }

    #[test]
    fn all_who_wait_move_as_much_as_each_other() {
        for bytes in [64 * KIB, GIB] {
            let mut bucket = Bucket::new(rate(bytes), 0, SECOND);
            let moved = flood(&mut bucket, 16, SECOND, 30 * SECOND);
            let (least, most) = (moved.iter().min().unwrap(), moved.iter().max().unwrap());
            assert!(most - least <= bucket.portion(u64::MAX), "{moved:?}");
        }
    }

    #[test]
    fn what_was_not_used_is_kept_for_a_tenth_of_a_second_or_one_place() {
        for (bytes, burst) in [(GIB, GIB / 10), (64 * KIB, 6553), (KIB, KIB)] {
            let mut bucket = Bucket::new(rate(bytes), 0, Duration::ZERO);
            let later = 3600 * SECOND;
            let mut moved = 0;
            loop {
                let portion = bucket.portion(u64::MAX);
                let place = bucket.line_up(portion, later);
                if bucket.pass(place, later).is_err() {
                    break;
                }
                moved += portion;
            }
            assert!(moved > 0 && moved <= burst, "{moved} of {burst}");
        }
    }

    #[test]
    fn another_rate_holds_at_once_and_what_waited_at_the_old_one_is_no_debt() {
        for (before, after) in [(GIB, 64 * KIB), (64 * KIB, GIB), (1024 * KIB, 256 * KIB)] {
            let mut bucket = Bucket::new(rate(before), 0, SECOND);
            flood(&mut bucket, 50, SECOND, SECOND);
            let now = 2 * SECOND;
            let portion = bucket.portion(u64::MAX);
            let waiting: Vec<_> = (0..50).map(|_| bucket.line_up(portion, now)).collect();
            bucket.set_rate(rate(after), 1, now);
            assert!(waiting.iter().all(|place| !bucket.knows(*place)));
            waiting.into_iter().for_each(|place| bucket.leave(place));
            let moved = flood(&mut bucket, 50, now, 30 * SECOND);
            assert_within(2, moved.iter().sum(), 30 * after);
        }
    }

    #[test]
    fn a_rate_that_is_set_again_and_again_holds_too() {
        let mut bucket = Bucket::new(rate(64 * KIB), 0, SECOND);
        let (mut moved, step) = (0, Duration::from_millis(10));
        for number in 0..3000 {
            let now = SECOND + step * number;
            bucket.set_rate(rate(64 * KIB), u64::from(number) + 1, now);
            let of_step = flood(&mut bucket, 1, now, step);
            moved += of_step.iter().sum::<u64>();
        }
        assert_within(5, moved, 30 * 64 * KIB);
    }

    #[test]
    fn who_leaves_the_line_is_not_waited_for() {
        let mut bucket = Bucket::new(rate(64 * KIB), 0, SECOND);
        let portion = bucket.portion(u64::MAX);
        let mut line: Vec<_> = (0..40).map(|_| bucket.line_up(portion, SECOND)).collect();
        let last = line.pop().unwrap();
        let wait = bucket.pass(last, SECOND).unwrap_err();
        line.into_iter().for_each(|place| bucket.leave(place));
        assert!(wait > SECOND, "{wait:?}");
        bucket.pass(last, SECOND).unwrap();
        let moved = flood(&mut bucket, 3, SECOND, 30 * SECOND);
        assert_within(2, moved.iter().sum(), 30 * 64 * KIB);
    }

    #[test]
    fn the_lowest_rate_and_the_highest_are_rates_and_time_may_stand_still() {
        let mut bucket = Bucket::new(Rate::MIN, 0, SECOND);
        let first = bucket.line_up(KIB, SECOND);
        let second = bucket.line_up(KIB, SECOND);
        bucket.pass(first, SECOND).unwrap();
        assert_eq!(bucket.pass(second, SECOND), Err(SECOND));
        assert_eq!(bucket.pass(second, Duration::ZERO), Err(SECOND));
        bucket.pass(second, 2 * SECOND).unwrap();

        let mut bucket = Bucket::new(rate(u64::MAX), 0, Duration::ZERO);
        for now in [Duration::ZERO, SECOND, Duration::MAX, Duration::MAX] {
            let place = bucket.line_up(u64::MAX / 4, now);
            let _ = bucket.pass(place, now);
            bucket.set_rate(rate(u64::MAX), bucket.series + 1, now);
            let place = bucket.line_up(BUFFER as u64, now);
            let _ = bucket.pass(place, now);
        }
        bucket.set_rate(Rate::MIN, bucket.series + 1, Duration::MAX);
        let place = bucket.line_up(u64::MAX, Duration::MAX);
        assert!(bucket.pass(place, Duration::MAX).unwrap_err() > 3600 * SECOND);
    }
}
