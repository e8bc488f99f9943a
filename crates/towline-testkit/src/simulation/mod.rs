//! An S3 store in memory, behind the port [`towline_core::S3`], in simulated
//! time: it sleeps on tokio's clock, so that on a paused runtime a week passes
//! in seconds.
//!
//! ```text
//! #[tokio::test(start_paused = true)]
//! async fn a_week_without_a_network_costs_nothing() {
//!     let s3 = SimulatedS3::new();
//!     let stores = SimulatedStores::with([("https://a", &s3)]);
//!     let engine = Engine::start_simulated(store, stores, Config::default()).await?;
//!     s3.set_network(Network::Refused);
//! ```
//!
//! A store has a network before it (latency, bandwidth, outages), refuses what
//! its clock, its credentials and its limit on requests forbid, and keeps a
//! history of what it was asked. Blocking work holds tokio's clock back, so
//! files may be real.

#![allow(
    clippy::missing_panics_doc,
    reason = "locks are poisoned only by a failed test"
)]

mod call;
mod client;
mod disk;
mod faults;
mod history;
mod objects;
pub mod oracle;
mod store;
mod trace;
mod wire;
pub mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use towline_core::{
    ConnectError, Connection, Connector, Fingerprint, Operation, S3, Timestamp, TransferId,
};

use call::Answer;
use client::Client;
use history::History;
use objects::Objects;
use wire::Wire;

pub use disk::{DiskRules, Named, SimulatedDisk};
pub use faults::{Applied, Fault, Weather};
pub use history::{End, Request};
pub use objects::{ObjectRules, Version};
pub use store::{Committed, SimulatedState, StoreRules};
pub use trace::Trace;
pub use wire::Network;

/// What the wall clock shows when a store is made, in milliseconds.
const WALL_START: i64 = 1_700_000_000_000;

/// A store. Clones are the same one.
#[derive(Clone)]
pub struct SimulatedS3(Arc<Server>);

struct Server {
    trace: Trace,
    wire: Wire,
    history: History,
    objects: Mutex<Objects>,
    rules: Mutex<Rules>,
    late: Mutex<BTreeMap<(Duration, usize), Late>>,
}

/// What is done to the objects once its time has come.
type Late = Box<dyn FnOnce(&mut Objects) + Send>;

/// What it refuses.
#[derive(Debug, Default)]
struct Rules {
    dice: fastrand::Rng,
    weather: Weather,
    clients: u32,
    /// More requests than these at one time.
    most: Option<usize>,
    /// Requests at work.
    at_work: usize,
    /// Credentials that were given out longer ago.
    lifetime: Option<Duration>,
    /// Nobody gives out credentials.
    no_credentials: bool,
    /// How much its clock is ahead, in milliseconds.
    ahead_ms: i64,
    /// What nobody has the right to.
    denied: Vec<Operation>,
}

impl Default for SimulatedS3 {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedS3 {
    /// An empty store with 20 ms of latency and no other limit.
    pub fn new() -> Self {
        Self::traced(Trace::default(), 0)
    }

    /// One of a world with a trace and a seed.
    pub fn traced(trace: Trace, seed: u64) -> Self {
        let dice = fastrand::Rng::with_seed(seed);
        Self(Arc::new(Server {
            wire: Wire::new(),
            history: History::new(trace.clone()),
            objects: Mutex::default(),
            rules: Mutex::new(Rules {
                dice,
                ..Rules::default()
            }),
            late: Mutex::default(),
            trace,
        }))
    }

    /// Changes how it lies for good.
    pub fn rule(&self, change: impl FnOnce(&mut ObjectRules)) {
        change(&mut self.0.objects().rules);
    }

    /// How often what goes wrong with single requests.
    pub fn set_weather(&self, weather: Weather) {
        self.0.rules().weather = weather;
    }

    /// Every object there has been, in the order in which they were stored.
    pub fn versions(&self) -> Vec<Version> {
        self.0.objects().versions.clone()
    }

    /// Uploads that were ever opened: key, id, and by which request of the history.
    pub fn opened(&self) -> Vec<(String, String, Option<usize>)> {
        self.0.objects().opened.clone()
    }

    /// The ids of the uploads that are open.
    pub fn open_upload_ids(&self) -> Vec<String> {
        self.0.objects().uploads.keys().cloned().collect()
    }

    /// How many clients there have been.
    pub fn clients(&self) -> u32 {
        self.0.rules().clients
    }

    /// Opens or closes the way to it.
    pub fn set_network(&self, network: Network) {
        self.0.wire.set_network(network);
    }

    /// Closes and opens the way again and again, `down` and `up` so long.
    pub async fn flap(&self, network: Network, down: Duration, up: Duration, times: u32) {
        for _ in 0..times {
            self.set_network(network);
            tokio::time::sleep(down).await;
            self.set_network(Network::Up);
            tokio::time::sleep(up).await;
        }
    }

    /// How long a request and its answer are on their way.
    pub fn set_latency(&self, latency: Duration) {
        self.0.wire.set_latency(latency);
    }

    /// How many bytes pass in a second each way, over all connections; `None` is
    /// without limit.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        self.0.wire.up.set_bandwidth(bytes_per_second);
        self.0.wire.down.set_bandwidth(bytes_per_second);
    }

    /// It answers `SlowDown` where there are more requests than these.
    pub fn throttle_above(&self, requests: Option<usize>) {
        self.0.rules().most = requests;
    }

    /// Credentials expire so long after they were given out. Clients do not know
    /// when: they are told `ExpiredToken`.
    pub fn set_lifetime_of_credentials(&self, lifetime: Option<Duration>) {
        self.0.rules().lifetime = lifetime;
    }

    /// Whether anybody gives out credentials: else a client keeps those it has.
    pub fn give_credentials(&self, yes: bool) {
        self.0.rules().no_credentials = !yes;
    }

    /// Sets its clock ahead of ours, or behind, in seconds.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.0.rules().ahead_ms = seconds * 1000;
    }

    /// Stores an object.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        let at = (bucket.to_owned(), key.to_owned());
        let now = self.0.now();
        let stored = self.0.objects().put(at, bytes.into(), now, false);
        assert!(stored.is_ok(), "nothing forbids it");
    }

    /// The bytes of an object.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let at = (bucket.to_owned(), key.to_owned());
        let objects = self.0.objects();
        objects.object(&at).ok().map(|object| object.bytes.clone())
    }

    /// What a listing would tell of an object now.
    pub fn listed(&self, bucket: &str, key: &str) -> Option<Fingerprint> {
        let at = (bucket.to_owned(), key.to_owned());
        let objects = self.0.objects();
        let object = objects.object(&at).ok()?;
        let size = object.bytes.len() as u64;
        Some(Fingerprint::of_listed(size, Some(object.stored)))
    }

    /// Deletes an object.
    pub fn delete(&self, bucket: &str, key: &str) {
        let at = (bucket.to_owned(), key.to_owned());
        self.0.objects().objects.remove(&at);
    }

    /// How many multipart uploads are open.
    pub fn open_uploads(&self) -> usize {
        self.0.objects().uploads.len()
    }

    /// Somebody opens an upload of this key, and sends a part or none.
    pub fn open_upload(&self, bucket: &str, key: &str, part: Option<Bytes>) {
        let at = (bucket.to_owned(), key.to_owned());
        let now = self.0.now();
        let mut objects = self.0.objects();
        let id = objects.open(at, now);
        let sent = part.map(|bytes| objects.put_part(&id, 1, bytes).is_ok());
        assert!(sent != Some(false), "it was just opened");
    }

    /// Somebody aborts all open uploads.
    pub fn abort_uploads(&self) {
        self.0.objects().uploads.clear();
    }

    /// How often an object was stored under this key.
    pub fn times_stored(&self, key: &str) -> usize {
        let objects = self.0.objects();
        let of_key = objects.versions.iter().filter(|it| it.key == key);
        of_key.count()
    }

    /// From now on nobody has the right to these.
    pub fn deny(&self, operations: &[Operation]) {
        self.0.rules().denied = operations.to_vec();
    }

    /// What our own clock shows.
    pub fn our_time(&self) -> Timestamp {
        Timestamp::from_millis(self.0.our_millis())
    }

    /// Every request, oldest first.
    pub fn history(&self) -> Vec<Request> {
        self.0.history.requests()
    }

    /// The time since it was made, in which its history tells times.
    pub fn elapsed(&self) -> Duration {
        self.0.trace.elapsed()
    }

    /// A client with credentials of this moment.
    pub fn client(&self) -> Arc<dyn S3> {
        Arc::new(Client::new(Arc::clone(&self.0)))
    }
}

impl Server {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With all that was late and whose time has come.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.trace.elapsed();
        while let Some(next) = late.first_entry().filter(|next| next.key().0 <= now) {
            next.remove()(&mut objects);
        }
        objects
    }

    /// Does what a request asks for, and notes whether it stored an object.
    fn apply<T>(
        &self,
        place: usize,
        bytes: Bytes,
        answer: &impl Answer<T>,
    ) -> Result<T, call::Refusal> {
        let now = self.now();
        self.apply_to(&mut self.objects(), place, bytes, now, answer)
    }

    fn apply_to<T>(
        &self,
        objects: &mut Objects,
        place: usize,
        bytes: Bytes,
        now: Timestamp,
        answer: &impl Answer<T>,
    ) -> Result<T, call::Refusal> {
        objects.asked_by = Some(place);
        let before = objects.versions.len();
        let told = answer(objects, bytes, now);
        objects.asked_by = None;
        if objects.versions.len() > before {
            self.history.made(place);
        }
        told
    }

    fn apply_later<T>(
        self: &Arc<Self>,
        place: usize,
        bytes: Bytes,
        after: Duration,
        answer: impl Answer<T>,
    ) {
        let at = self.trace.elapsed() + after;
        // It is our clock that jumps: S3 tells one time of what it does late.
        let ahead = self.rules().ahead_ms;
        let server = Arc::downgrade(self);
        let apply = move |objects: &mut Objects| {
            let Some(server) = server.upgrade() else {
                return;
            };
            server
                .trace
                .note(format_args!("s3: request {place} is applied late"));
            let now = Timestamp::from_millis(server.our_millis() + ahead);
            let _ = server.apply_to(objects, place, bytes, now, &answer);
        };
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.insert((at, place), Box::new(apply));
    }

    /// What its clock shows.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.our_millis() + self.rules().ahead_ms)
    }

    /// What our own clock shows.
    fn our_millis(&self) -> i64 {
        let passed = i64::try_from(self.trace.elapsed().as_millis());
        WALL_START + passed.unwrap_or(i64::MAX / 2)
    }
}

impl Rules {
    fn next_client(&mut self) -> u32 {
        self.clients += 1;
        self.clients
    }

    fn draw(&mut self, operation: Operation) -> Option<Fault> {
        self.weather.draw(&mut self.dice, operation)
    }
}

/// Stores by their endpoints.
#[derive(Default)]
pub struct SimulatedStores {
    stores: HashMap<String, SimulatedS3>,
    clients: Mutex<HashMap<Connection, Arc<dyn S3>>>,
}

impl SimulatedStores {
    /// These, and no others.
    pub fn with<'a>(stores: impl IntoIterator<Item = (&'a str, &'a SimulatedS3)>) -> Arc<Self> {
        let named = |(endpoint, store): (&str, &SimulatedS3)| (endpoint.to_owned(), store.clone());
        Arc::new(Self {
            stores: stores.into_iter().map(named).collect(),
            clients: Mutex::default(),
        })
    }
}

impl Connector for SimulatedStores {
    fn connect(&self, _: TransferId, connection: &Connection) -> Result<Arc<dyn S3>, ConnectError> {
        let endpoint = connection.endpoint.clone().unwrap_or_default();
        let Some(store) = self.stores.get(&endpoint) else {
            let why = "no store is simulated there".to_owned();
            return Err(ConnectError::BadEndpoint { endpoint, why });
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients
            .entry(connection.clone())
            .or_insert_with(|| store.client());
        Ok(Arc::clone(client))
    }
}
