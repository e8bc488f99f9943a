//! One store as all transfers to it share it: whether it can be reached, and
//! how many requests it takes at one time.

mod climb;
mod pace;
mod reach;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use towline_core::{Failure, GetObject, Operation, Record, S3, S3Error, S3ErrorKind};

pub(crate) use self::pace::Pace;
pub(crate) use self::reach::{Found, Reach};

/// Which site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SiteId(usize);

/// A bucket, reached in one way.
pub(crate) struct Site {
    /// Transfers that are held for it.
    held: usize,
    pub(crate) reach: Reach,
    pub(crate) pace: Pace,
    /// What a request that only asks whether anybody answers can be about.
    pub(crate) sample: Option<Sample>,
    /// What was there instead of an answer, the last time.
    pub(crate) why: Option<(S3ErrorKind, String)>,
}

impl Site {
    /// Why those that wait for it do.
    pub(crate) fn unreachable(&self) -> Failure {
        use S3ErrorKind::{Connect, Dns, Foreign, Tls};
        let (kind, why) = match &self.why {
            Some((kind @ (Dns | Foreign | Tls), why)) => (*kind, why.as_str()),
            Some((_, why)) => (Connect, why.as_str()),
            None => (Connect, "the store cannot be reached"),
        };
        S3Error::new(Operation::HeadObject, kind, why).into()
    }
}

/// An object of a transfer, and the client that it is reached with.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) s3: Arc<dyn S3>,
    pub(crate) object: GetObject,
}

impl Sample {
    pub(crate) fn of(record: &Record, s3: Arc<dyn S3>) -> Self {
        let (object, options) = (&record.spec.object, &record.spec.options);
        Self {
            s3,
            object: GetObject {
                bucket: object.bucket.as_str().to_owned(),
                key: object.key.as_str().to_owned(),
                access: options.access.clone(),
                ..GetObject::default()
            },
        }
    }

    /// Of a copy: the object that is copied.
    pub(crate) fn of_origin(record: &Record, s3: Arc<dyn S3>) -> Self {
        let mut sample = Self::of(record, s3);
        if let Some(origin) = record.spec.origin() {
            sample.object.bucket = origin.bucket.as_str().to_owned();
            sample.object.key = origin.key.as_str().to_owned();
            sample.object.access.expected_bucket_owner = None;
        }
        sample
    }
}

/// All sites that this process talked to.
pub(crate) struct Sites {
    ids: HashMap<towline_core::Connection, HashMap<String, SiteId>>,
    all: Vec<Site>,
    requests: RangeInclusive<usize>,
}

impl Sites {
    /// From how many at one time to each of them to how many.
    pub(crate) fn new(requests: RangeInclusive<usize>) -> Self {
        Self {
            ids: HashMap::new(),
            all: Vec::new(),
            requests,
        }
    }

    pub(crate) fn of(&mut self, record: &Record) -> SiteId {
        self.of_bucket(record, record.spec.object.bucket.as_str())
    }

    /// Where the source of a copy is.
    pub(crate) fn of_origin(&mut self, record: &Record) -> SiteId {
        match record.spec.origin() {
            Some(origin) => self.of_bucket(record, origin.bucket.as_str()),
            None => self.of(record),
        }
    }

    fn of_bucket(&mut self, record: &Record, bucket: &str) -> SiteId {
        let connection = &record.spec.connection;
        let buckets = self.ids.get(connection);
        if let Some(known) = buckets.and_then(|buckets| buckets.get(bucket)) {
            return *known;
        }
        let new = SiteId(self.all.len());
        self.all.push(Site {
            held: 0,
            reach: Reach::default(),
            pace: Pace::new(&self.requests),
            sample: None,
            why: None,
        });
        let buckets = self.ids.entry(connection.clone()).or_default();
        buckets.insert(bucket.to_owned(), new);
        new
    }

    pub(crate) fn get(&mut self, id: SiteId) -> &mut Site {
        &mut self.all[id.0]
    }

    /// A transfer of this one is held.
    pub(crate) fn hold(&mut self, id: SiteId) {
        self.get(id).held += 1;
    }

    pub(crate) fn let_go(&mut self, id: SiteId) {
        self.get(id).held -= 1;
    }

    /// Whether any that somebody is held for takes another request.
    pub(crate) fn have_room(&self) -> bool {
        let takes_more = |site: &Site| site.held > 0 && site.pace.has_room();
        self.all.iter().any(takes_more)
    }

    pub(crate) fn each(&mut self) -> impl Iterator<Item = (SiteId, &mut Site)> {
        let numbered = self.all.iter_mut().enumerate();
        numbered.map(|(number, site)| (SiteId(number), site))
    }

    pub(crate) fn set_limit(&mut self, requests: usize) {
        self.requests = requests..=requests;
        self.all
            .iter_mut()
            .for_each(|site| site.pace.set_limit(requests));
    }
}

/// What the end of a request tells of the store, beside what it was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answered.
    Answered,
    /// It answered that it is asked too much.
    Throttled,
    /// A connection of our own making broke or went silent without an answer.
    Broke,
    /// Nothing.
    Nothing,
}

impl Sign {
    pub(crate) fn of(failure: &Failure) -> Self {
        match failure {
            Failure::S3(error) => Self::of_error(error),
            _ => Self::Nothing,
        }
    }

    fn of_error(error: &S3Error) -> Self {
        match error.kind {
            S3ErrorKind::Answer if error.is_throttling() => Self::Throttled,
            S3ErrorKind::Answer => Self::Answered,
            // One that had been idle may just have been closed.
            S3ErrorKind::Transport if error.reused_connection => Self::Nothing,
            S3ErrorKind::Transport | S3ErrorKind::Stalled if error.status.is_none() => Self::Broke,
            _ => Self::Nothing,
        }
    }
}

/// How long the answer to the question whether anybody answers may take.
const PROBE: Duration = Duration::from_secs(10);

/// Asks for something small, and tells whether a store answered: anything that
/// it says will do. `Err` has the words of what was there instead.
pub(crate) async fn probe(sample: &Sample) -> Result<(), S3Error> {
    let asked = sample.s3.head_object(sample.object.clone());
    match crate::stall::within(Operation::HeadObject, PROBE, asked).await {
        Ok(_) => Ok(()),
        Err(error) if is_of_a_store(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether this is what a store says, or what stands in its place: nobody, a
/// page to log in at, somebody with another certificate. Without credentials
/// nobody was asked, and who waits for the network will find that out.
fn is_of_a_store(error: &S3Error) -> bool {
    match error.kind {
        S3ErrorKind::Credentials | S3ErrorKind::Invalid => true,
        S3ErrorKind::Answer => match error.status {
            Some(300..=399) => error.region.is_some() || error.request_id.is_some(),
            Some(511) => false,
            _ => true,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn answer(status: u16) -> S3Error {
        let mut error = S3Error::new(Operation::HeadObject, S3ErrorKind::Answer, "");
        error.status = Some(status);
        error
    }

    fn record(bucket: &str) -> Record {
        fixtures::record(1, bucket, "/file")
    }

    #[test]
    fn a_bucket_that_nobody_is_held_for_gives_no_room() {
        let mut sites = Sites::new(1..=1);
        let (used, other) = (sites.of(&record("used")), sites.of(&record("other")));
        assert!(!sites.have_room(), "nobody wants any");
        sites.hold(used);
        assert!(sites.have_room());
        sites.get(used).pace.take();
        assert!(!sites.have_room(), "the other one has some, for nobody");
        sites.hold(other);
        assert!(sites.have_room());
        sites.let_go(other);
        assert!(!sites.have_room());
        sites.get(used).pace.give_back();
        assert!(sites.have_room());
    }

    #[test]
    fn whatever_a_store_says_shows_that_it_is_there() {
        for status in [400, 403, 404, 500, 503] {
            assert!(is_of_a_store(&answer(status)), "{status}");
        }
        let mut elsewhere = answer(301);
        elsewhere.region = Some("eu-west-1".into());
        assert!(is_of_a_store(&elsewhere));
    }

    #[test]
    fn a_page_to_log_in_at_is_no_store() {
        assert!(!is_of_a_store(&answer(302)));
        assert!(!is_of_a_store(&answer(511)));
        let page = S3Error::new(Operation::HeadObject, S3ErrorKind::Malformed, "");
        assert!(!is_of_a_store(&page));
    }

    #[test]
    fn a_kept_connection_that_is_gone_says_nothing_of_the_store() {
        let mut broken = S3Error::new(Operation::UploadPart, S3ErrorKind::Transport, "");
        assert_eq!(Sign::of_error(&broken), Sign::Broke);
        broken.reused_connection = true;
        assert_eq!(Sign::of_error(&broken), Sign::Nothing);
        assert_eq!(Sign::of_error(&answer(503)), Sign::Throttled);
        assert_eq!(Sign::of_error(&answer(404)), Sign::Answered);
    }
}
