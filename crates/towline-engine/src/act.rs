//! What every act works with, and how one is run and cut short.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use towline_core::{
    Action, Direction, ErrorRecord, Event, Failure, ObjectAddress, Operation, PartNumber, PartPlan,
    PartRow, Record, S3, S3Error, Spec, Store,
};

use crate::bandwidth::{Caps, Pass};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::config::Config;
use crate::copy;
use crate::download;
use crate::event_loop::Message;
use crate::files::{Files, Target};
use crate::profile::{Checks, Fact, Shared, is_denied};
use crate::progress::{Moved, Progress};
use crate::random::Random;
use crate::stall::Patience;
use crate::stream::Stream;
use crate::upload;

/// Something the engine does for one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Inspect,
    Prepare,
    Reconcile,
    Part(PartNumber),
    Seal,
    Finish,
    Discard,
}

impl Act {
    /// Its name in the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Prepare => "prepare",
            Self::Reconcile => "reconcile",
            Self::Part(_) => "part",
            Self::Seal => "seal",
            Self::Finish => "finish",
            Self::Discard => "discard",
        }
    }

    pub(crate) fn of(action: &Action) -> Option<Self> {
        match action {
            Action::Inspect => Some(Self::Inspect),
            Action::Prepare => Some(Self::Prepare),
            Action::Reconcile => Some(Self::Reconcile),
            Action::Seal => Some(Self::Seal),
            Action::Finish => Some(Self::Finish),
            Action::Discard => Some(Self::Discard),
            _ => None,
        }
    }

    /// Whether a stop may cut it at any point. The others finish what they
    /// began on this machine; all that they ask of S3 is asked again later.
    fn can_be_cut(self, direction: Direction) -> bool {
        direction.makes_object() || matches!(self, Self::Prepare | Self::Part(_))
    }

    /// Whether its success shows that the store can be reached.
    pub(crate) fn talks_to_s3(self, direction: Direction) -> bool {
        match direction {
            Direction::Upload => self != Self::Inspect,
            Direction::Copy => true,
            Direction::Download => matches!(self, Self::Prepare | Self::Part(_)),
        }
    }
}

/// What an act works with. The record is the transfer's as it was committed
/// before the act began.
pub(crate) struct Context {
    pub(crate) record: Record,
    /// The recorded parts; only acts on the whole get them.
    pub(crate) parts: Vec<PartRow>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) s3: Arc<dyn S3>,
    pub(crate) profile: Arc<Shared>,
    pub(crate) budget: Budget,
    pub(crate) caps: Caps,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) files: Files,
    pub(crate) config: Arc<Config>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) open: Arc<download::Open>,
    /// Where its bytes come from or go to, where that is no file.
    pub(crate) stream: Option<Stream>,
    pub(crate) stop: Stop,
    /// When a part of it was last given up without an answer, by our clock.
    pub(crate) unanswered: Option<Duration>,
    pub(crate) inbox: mpsc::UnboundedSender<Message>,
}

impl Context {
    pub(crate) fn spec(&self) -> &Spec {
        &self.record.spec
    }

    /// Downloads: where to.
    pub(crate) fn target(&self) -> Target {
        Target::of(self.spec())
    }

    pub(crate) fn object(&self) -> &ObjectAddress {
        &self.record.spec.object
    }

    /// Does blocking work off the runtime's threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.files.blocking(work).await
    }

    pub(crate) fn bucket(&self) -> String {
        self.object().bucket.as_str().to_owned()
    }

    pub(crate) fn key(&self) -> String {
        self.object().key.as_str().to_owned()
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience {
            stall: self.config.stall_timeout,
            first_byte: self.config.first_byte_timeout,
        }
    }

    /// The way of an attempt's bytes past the caps on bandwidth.
    pub(crate) fn pass(&self, moved: &Arc<Moved>) -> Pass {
        let Spec {
            direction, group, ..
        } = self.spec();
        let lane = self.caps.lane(*direction);
        Pass::new(lane, group.as_deref(), Arc::clone(moved))
    }

    /// Takes in what an answer showed of the store. What costs something is told
    /// once: in the log, and as an incident of this transfer.
    pub(crate) fn learn(&self, fact: Fact) {
        if self.takes_in(fact) {
            self.tell_of(fact);
        }
    }

    /// The same, and tells of it also where another transfer did before.
    pub(crate) fn learn_and_tell(&self, fact: Fact) {
        self.takes_in(fact);
        self.tell_of(fact);
    }

    fn takes_in(&self, fact: Fact) -> bool {
        if !self.profile.profile().learn(fact) {
            return false;
        }
        let Some(message) = fact.lack() else {
            return false;
        };
        let endpoint = self.record.spec.connection.endpoint.as_deref();
        let (endpoint, bucket) = (endpoint.unwrap_or("AWS"), self.object().bucket.as_str());
        match fact {
            Fact::Checksum(_, Checks::Silent) => tracing::info!(endpoint, bucket, "{message}"),
            _ => tracing::warn!(endpoint, bucket, "{message}"),
        }
        true
    }

    fn tell_of(&self, fact: Fact) {
        let Some(message) = fact.lack() else { return };
        let error = ErrorRecord {
            code: "StoreLacks".into(),
            message,
            ..ErrorRecord::default()
        };
        let id = self.record.id;
        // A loop that is gone keeps no incidents.
        let _ = self.inbox.send(Message::Learned { id, error });
    }

    /// Takes in what an answer says of the right to an operation.
    pub(crate) fn learn_right<T>(&self, operation: Operation, answer: &Result<T, S3Error>) {
        match answer {
            Ok(_) => self.learn(Fact::Right(operation, true)),
            Err(error) if is_denied(error) => self.learn(Fact::Right(operation, false)),
            Err(_) => {}
        }
    }

    /// The plan; acts that need one begin only after it was committed.
    pub(crate) fn plan(&self) -> PartPlan {
        self.record.plan.unwrap_or_else(|| PartPlan::recorded(0, 0))
    }
}

/// Performs an act; `None` when it was cut short.
pub(crate) async fn perform(act: Act, context: Context) -> Option<Event> {
    let direction = context.spec().direction;
    let stop = context.stop.clone();
    let work = async {
        match (direction, act) {
            (Direction::Upload, Act::Part(part)) => upload::part(&context, part).await,
            // It is three times as large as any other, which all would be moved about as.
            (Direction::Download, Act::Part(part)) => {
                Some(Box::pin(download::part(&context, part)).await)
            }
            (Direction::Download, Act::Prepare) => download::find(&context).await,
            (Direction::Copy, Act::Part(part)) => copy::part(&context, part).await,
            (_, act) => Some(match whole(direction, act, &context).await {
                Ok(event) => event,
                Err(failure) => Event::ActFailed(failure),
            }),
        }
    };
    // These decide themselves: a part that is sent whole may still be answered, and
    // a small object may be on its way to its place.
    let decides = matches!(
        (direction, act),
        (Direction::Upload | Direction::Copy, Act::Part(_)) | (Direction::Download, Act::Prepare)
    );
    if decides || !act.can_be_cut(direction) {
        return work.await;
    }
    tokio::select! {
        biased;
        () = stop.requested() => None,
        event = work => event,
    }
}

async fn whole(direction: Direction, act: Act, context: &Context) -> Result<Event, Failure> {
    match (direction, act) {
        (Direction::Download, Act::Reconcile) => download::reconcile(context).await,
        (Direction::Download, Act::Seal) => download::seal(context).await,
        (Direction::Download, Act::Discard) => download::discard(context).await,
        (Direction::Download, _) => download::publish(context).await,
        (Direction::Copy, Act::Inspect) => copy::inspect(context).await,
        (Direction::Upload, Act::Inspect) => upload::inspect(context).await,
        (_, Act::Prepare) => upload::open(context).await,
        (_, Act::Reconcile) => upload::reconcile(context).await,
        (_, Act::Discard) => upload::discard(context).await,
        (_, _) => upload::complete(context).await,
    }
}

/// Tells an act to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub(crate) async fn requested(&self) {
        let mut stopped = self.0.clone();
        // A sender that is gone wants nothing more.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
