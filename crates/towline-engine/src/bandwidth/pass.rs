//! The way of one attempt's bytes past the caps of its transfer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::bucket::{Bucket, Place};
use super::{Buckets, Lane};
use crate::progress::Moved;

/// Lets an attempt's bytes pass when it is their turn.
pub(crate) struct Pass {
    lane: Arc<Lane>,
    group: Option<String>,
    moved: Arc<Moved>,
    turn: Option<Turn>,
    /// Until its turn may have come.
    wait: Option<Wait>,
    has_waited: bool,
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Some bytes that are on their way.
#[derive(Debug)]
struct Turn {
    bytes: u64,
    group: Step,
    all: Step,
}

/// How far they are past one cap.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ahead,
    InLine(Place),
    Past,
}

impl Pass {
    pub(crate) fn new(lane: &Arc<Lane>, group: Option<&str>, moved: Arc<Moved>) -> Self {
        Self {
            lane: Arc::clone(lane),
            group: group.map(str::to_owned),
            moved,
            turn: None,
            wait: None,
            has_waited: false,
        }
    }

    /// How many of these bytes may move now: all of them where there is no cap,
    /// else some, once it is their turn. They are taken to have moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, bytes: u64) -> Poll<u64> {
        if self.turn.is_none() && !self.lane.is_capped() {
            return Poll::Ready(bytes);
        }
        self.poll_turn(cx, bytes)
    }

    /// Where bytes are counted that have moved.
    pub(crate) fn moved(&self) -> &Moved {
        &self.moved
    }

    /// Whether it had to wait since it was asked last.
    pub(crate) fn has_waited(&mut self) -> bool {
        std::mem::take(&mut self.has_waited)
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, bytes: u64) -> Poll<u64> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
            }
            match self.advance(bytes) {
                Ok(passed) => {
                    self.turn = None;
                    if self.wait.take().is_some() {
                        self.moved.go_on();
                    }
                    return Poll::Ready(passed);
                }
                Err(wait) => {
                    if self.wait.replace(wait).is_none() {
                        self.moved.hold();
                        self.has_waited = true;
                    }
                }
            }
        }
    }

    fn advance(&mut self, bytes: u64) -> Result<u64, Wait> {
        let (lane, group) = (&self.lane, self.group.as_deref());
        let (clock, now) = (lane.clock, lane.clock.monotonic());
        let mut buckets = lane.buckets();
        let begin = || Turn::new(bytes, &buckets, group);
        let turn = self.turn.get_or_insert_with(begin);
        let Err(wait) = turn.advance(&mut buckets, group, now) else {
            return Ok(turn.bytes);
        };
        // While nothing can change: so no change is overlooked.
        let mut changed = lane.changed.subscribe();
        Err(Box::pin(async move {
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = clock.sleep(wait) => {}
            }
        }))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            turn.leave(&mut self.lane.buckets(), self.group.as_deref());
        }
        if self.wait.is_some() {
            self.moved.go_on();
        }
    }
}

impl Turn {
    fn new(bytes: u64, buckets: &Buckets, group: Option<&str>) -> Self {
        let of_group = group.and_then(|name| buckets.groups.get(name));
        let portion = |bytes, bucket: &Bucket| bucket.portion(bytes);
        Self {
            bytes: of_group
                .into_iter()
                .chain(&buckets.all)
                .fold(bytes, portion),
            group: Step::Ahead,
            all: Step::Ahead,
        }
    }

    /// Goes as far as it can; fails with the time until it can go on.
    fn advance(
        &mut self,
        buckets: &mut Buckets,
        group: Option<&str>,
        now: Duration,
    ) -> Result<(), Duration> {
        let mut of_group = group.and_then(|name| buckets.groups.get_mut(name));
        self.group
            .advance(&mut self.bytes, of_group.as_deref_mut(), now)?;
        let before = self.bytes;
        let passed = self.all.advance(&mut self.bytes, buckets.all.as_mut(), now);
        if let Some(bucket) = of_group {
            bucket.give_back(before - self.bytes);
        }
        passed
    }

    /// It goes no further.
    fn leave(self, buckets: &mut Buckets, group: Option<&str>) {
        if let Some(bucket) = group.and_then(|name| buckets.groups.get_mut(name)) {
            match self.group {
                Step::Ahead => {}
                Step::InLine(place) => bucket.leave(place),
                Step::Past => bucket.give_back(self.bytes),
            }
        }
        if let (Some(bucket), Step::InLine(place)) = (&mut buckets.all, self.all) {
            bucket.leave(place);
        }
    }
}

impl Step {
    fn advance(
        &mut self,
        bytes: &mut u64,
        bucket: Option<&mut Bucket>,
        now: Duration,
    ) -> Result<(), Duration> {
        if let Some(bucket) = bucket {
            let place = match *self {
                Self::Past => return Ok(()),
                Self::InLine(place) if bucket.knows(place) => place,
                Self::Ahead | Self::InLine(_) => {
                    *bytes = bucket.portion(*bytes);
                    bucket.line_up(*bytes, now)
                }
            };
            *self = Self::InLine(place);
            bucket.pass(place, now)?;
        }
        *self = Self::Past;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use towline_core::Direction;

    use super::super::{Bandwidth, Caps, Rate};
    use super::*;
    use crate::clock::Clock;
    use crate::progress::Progress;

    const KIB: u64 = 1 << 10;
    const UP: Direction = Direction::Upload;

    fn caps() -> Caps {
        Caps::new(Bandwidth::NONE, Clock::start())
    }

    fn kib(n: u64) -> Option<Rate> {
        Some(Rate::from_bytes_per_second(n * KIB).unwrap())
    }

    fn pass(caps: &Caps, group: Option<&str>) -> (Pass, Arc<Progress>) {
        let progress = Arc::<Progress>::default();
        let moved = Arc::new(Moved::of(Arc::clone(&progress)));
        (Pass::new(caps.lane(UP), group, moved), progress)
    }

    /// Moves all these bytes, and gives how long that took.
    async fn moved(mut pass: Pass, mut bytes: u64) -> Duration {
        let start = tokio::time::Instant::now();
        while bytes > 0 {
            bytes -= poll_fn(|cx| pass.poll(cx, bytes)).await;
        }
        start.elapsed()
    }

    fn is_about(seconds: u64, took: Duration) {
        let (low, high) = (seconds * 900, seconds * 1100 + 100);
        assert!(
            (low..=high).contains(&(took.as_millis() as u64)),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_cap_all_bytes_move_at_once() {
        let caps = caps();
        let (mut pass, _) = pass(&caps, Some("group"));
        assert_eq!(poll_fn(|cx| pass.poll(cx, u64::MAX)).await, u64::MAX);
        caps.set(None, Direction::Download, kib(1));
        caps.set(Some("other"), UP, kib(1));
        assert_eq!(moved(pass, KIB * KIB).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_the_cap_of_their_group_and_that_of_all() {
        for (all, group, seconds) in [
            (kib(64), None, 10),
            (None, kib(64), 10),
            (kib(64), kib(32), 20),
            (kib(32), kib(64), 20),
            (kib(64), kib(64), 10),
        ] {
            let caps = caps();
            caps.set(None, UP, all);
            caps.set(Some("group"), UP, group);
            is_about(
                seconds,
                moved(pass(&caps, Some("group")).0, 640 * KIB).await,
            );
            let alone = moved(pass(&caps, None).0, 640 * KIB).await;
            match all {
                Some(_) if all == kib(32) => is_about(20, alone),
                Some(_) => is_about(10, alone),
                None => assert_eq!(alone, Duration::ZERO),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_group_keeps_no_other_waiting() {
        let caps = caps();
        caps.set(None, UP, kib(100));
        caps.set(Some("slow"), UP, kib(10));
        let slow = (0..20).map(|_| moved(pass(&caps, Some("slow")).0, 100 * KIB));
        let slow = futures_util::future::join_all(slow);
        let quick = moved(pass(&caps, None).0, 900 * KIB);
        let (_, quick) = tokio::join!(slow, quick);
        is_about(10, quick);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_by_another_cap_and_goes_at_once_without_one() {
        let caps = caps();
        caps.set(None, UP, kib(1));
        let change = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            caps.set(None, UP, kib(100));
            tokio::time::sleep(Duration::from_secs(5)).await;
            caps.set(None, UP, None);
        };
        let both = futures_util::future::join_all((0..10).map(|_| {
            let (pass, _) = pass(&caps, None);
            moved(pass, 1000 * KIB)
        }));
        let (_, took) = tokio::join!(change, both);
        assert!(took.iter().all(|took| took.as_secs() == 10), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_seen_and_ends_with_the_attempt() {
        let caps = caps();
        caps.set(None, UP, kib(1));
        let (mut pass, progress) = pass(&caps, None);
        assert_eq!(poll_fn(|cx| pass.poll(cx, 5 * KIB)).await, KIB);
        assert!(!pass.has_waited() && !progress.is_held());
        let next = poll_fn(|cx| pass.poll(cx, 4 * KIB));
        let second = Duration::from_millis(500);
        assert!(tokio::time::timeout(second, next).await.is_err());
        assert!(pass.has_waited() && progress.is_held());
        drop(pass);
        assert!(!progress.is_held());
        // Its place is free again.
        let (pass, _) = self::pass(&caps, None);
        let took = moved(pass, KIB).await;
        assert!(took <= Duration::from_millis(510), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_set_can_be_read() {
        let caps = caps();
        caps.set(None, UP, kib(1));
        caps.set(Some("a"), UP, kib(2));
        caps.set(Some("a"), Direction::Download, kib(3));
        caps.set(Some("b"), UP, kib(4));
        caps.set(Some("b"), UP, None);
        let of_all = Bandwidth {
            upload: kib(1),
            download: None,
        };
        assert_eq!(caps.of_all(), of_all);
        let a = Bandwidth {
            upload: kib(2),
            download: kib(3),
        };
        assert_eq!(caps.of_groups(), [("a".to_owned(), a)].into());
        Rate::from_bytes_per_second(1023).unwrap_err();
    }
}
