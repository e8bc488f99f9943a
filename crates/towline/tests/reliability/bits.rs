//! One bit flipped anywhere on the wire.
//!
//! A trial is one transfer, during which one bit of all that passes between
//! client and server in one direction is flipped: request lines, headers, XML,
//! bodies, and over TLS its records and handshakes. Half of the bits are drawn
//! from all bytes of such a transfer, half from where its heads are. A draw that
//! lies behind what the transfer needed is drawn again and not counted.
//!
//! `TOWLINE_FLIP_TRIALS=n` makes n trials, `TOWLINE_SEED=s` begins with trial s:
//! the number of a trial is its seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use fastrand::Rng;
use towline::{Connection, Environment, State, Transfer, Verified};
use towline_testkit::crash::bytes;
use towline_testkit::fault_proxy::{BadCertificate, Direction, FaultProxy};
use towline_testserver::{Rule, Script, TestServer};

use crate::scene::{BUCKET, MIB, Scene, asked, quick, to};

/// Trials at one time, each lane on connections of its own.
const LANES: u64 = 48;
/// What was flipped may make both sides wait for each other. A router then
/// forgets the connection sooner or later; here sooner.
const SILENCE: Duration = Duration::from_secs(2);
/// However it goes, a trial ends.
const TIME: Duration = Duration::from_secs(120);
const SMALL: [u64; 5] = [0, 1, 100, 4096, 64 << 10];
/// Two parts.
const LARGE: u64 = 5 * MIB + 70_000;
/// One trial in so many is of a large one.
const LARGE_EACH: u64 = 100;

/// How the trials ended.
#[derive(Debug, Default)]
struct Tally {
    trials: u64,
    /// Completed, by their proof.
    completed: BTreeMap<&'static str, u64>,
    /// Failed, by their code.
    failed: BTreeMap<String, u64>,
    /// Draws behind the end of a transfer.
    missed: u64,
    /// Completed, and not what was asked for.
    undetected: Vec<String>,
    /// Files whose time is not that of their object.
    times: u64,
    /// Completed under another ETag than the object has: no checksum covers it.
    etags: u64,
    /// Uploads that nobody completes or aborts.
    open: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.missed += other.missed;
        self.times += other.times;
        self.etags += other.etags;
        self.undetected.extend(other.undetected);
        for (proof, n) in other.completed {
            *self.completed.entry(proof).or_default() += n;
        }
        for (code, n) in other.failed {
            *self.failed.entry(code).or_default() += n;
        }
    }

    fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// What a trial is about, all of it drawn from its number.
struct Trial {
    number: u64,
    size: u64,
    up: bool,
    /// Of a download: whether its object has a checksum, or only an MD5 as its ETag.
    summed: bool,
    direction: Direction,
    rng: Rng,
}

impl Trial {
    fn draw(number: u64) -> Self {
        let mut rng = Rng::with_seed(number);
        let large = rng.u64(..LARGE_EACH) == 0;
        let up = rng.bool();
        let ways = [Direction::ToServer, Direction::ToClient];
        Self {
            number,
            size: if large { LARGE } else { SMALL[rng.usize(..5)] },
            up,
            summed: rng.bool(),
            direction: ways[rng.usize(..2)],
            rng,
        }
    }

    /// Bytes that such a transfer moves this way beside its content, about.
    fn heads(&self, secure: bool) -> u64 {
        let plain = match (self.up, self.direction, self.size == LARGE) {
            (true, Direction::ToServer, false) => 600,
            (true, Direction::ToClient, false) => 300,
            (true, Direction::ToServer, true) => 3500,
            (true, Direction::ToClient, true) => 1600,
            (false, Direction::ToServer, false) => 1050,
            (false, Direction::ToClient, false) => 760,
            (false, Direction::ToServer, true) => 1600,
            (false, Direction::ToClient, true) => 1200,
        };
        // Records, and a handshake where it begins a connection.
        if secure { plain + 400 } else { plain }
    }

    /// Which byte: of all that such a transfer may need, or of its heads.
    fn place(&mut self, secure: bool) -> u64 {
        let with_body = self.up == (self.direction == Direction::ToServer);
        let body = if with_body { self.size } else { 0 };
        let heads = self.heads(secure);
        match self.rng.u64(..4) {
            0 | 1 => self.rng.u64(..body + heads),
            // Complete comes behind the parts.
            2 if self.size == LARGE => body + self.rng.u64(..heads),
            _ => self.rng.u64(..heads),
        }
    }

    fn content(&self) -> Vec<u8> {
        bytes(self.size, self.size)
    }

    fn key(&self) -> String {
        match (self.up, self.summed) {
            (true, _) => format!("up/{}", self.number),
            (false, true) => format!("summed/{}", self.size),
            (false, false) => format!("plain/{}", self.size),
        }
    }
}

/// Where trials take place.
struct Ground {
    scene: Scene,
    /// Without a proxy in between.
    direct: Connection,
    /// Speaks TLS before the server, where trials are to; and its certificate.
    tls: Option<(FaultProxy, tempfile::NamedTempFile)>,
    next: AtomicU64,
    end: u64,
}

impl Ground {
    async fn new(secure: bool, trials: u64) -> Arc<Self> {
        let mut config = quick();
        config.requests = Some(2 * LANES as usize);
        let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
        let mut environment = Vec::new();
        let mut tls = None;
        if secure {
            let trusted = tempfile::NamedTempFile::new().unwrap();
            let proxy = FaultProxy::start(at(server.port())).await.unwrap();
            let pem = proxy.bad_tls(BadCertificate::SelfSigned);
            std::fs::write(&trusted, pem).unwrap();
            let path = trusted.path().to_str().unwrap().to_owned();
            environment.push(("AWS_CA_BUNDLE", path));
            tls = Some((proxy, trusted));
        }
        let environment = Environment::new(environment, None);
        let scene = Scene::on(server, config, environment).await;
        let direct = to(scene.server.endpoint());
        for size in SMALL.into_iter().chain([LARGE]) {
            let source = scene.source(&format!("{size}"), &bytes(size, size));
            let summed = format!("summed/{size}");
            let upload = scene.utility.upload(BUCKET, summed, source);
            let ended = upload.await.unwrap().finished().await.unwrap();
            assert_eq!(ended.state, State::Completed);
            let plain = format!("plain/{size}");
            let put = scene.server.put_object(BUCKET, &plain, bytes(size, size));
            put.await.unwrap();
        }
        // Of these the store tells no checksum.
        let plain = Rule::on_any().key_prefix("plain/");
        let script = Script::new().rule(plain.drop_header("x-amz-checksum-crc64nvme"));
        scene.server.faults().play(script).unwrap();
        let first = asked("TOWLINE_SEED").unwrap_or(1);
        let trials = asked("TOWLINE_FLIP_TRIALS").unwrap_or(trials);
        Arc::new(Self {
            scene,
            direct,
            tls,
            next: AtomicU64::new(first),
            end: first + trials,
        })
    }

    /// Makes trials until all are taken.
    async fn lane(self: Arc<Self>) -> Tally {
        let server = at(self.scene.server.port());
        let behind = self.tls.as_ref().map_or(server, |(tls, _)| tls.address());
        let proxy = FaultProxy::start(behind).await.unwrap();
        proxy.cut_silent(SILENCE);
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let connection = to(format!("{scheme}://{}", proxy.address()));
        let mut tally = Tally::default();
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.end {
                return tally;
            }
            let trial = self.trial(Trial::draw(number), &proxy, &connection, &mut tally);
            let ended = tokio::time::timeout(TIME, trial).await;
            assert!(ended.is_ok(), "trial {number} does not end");
        }
    }

    async fn trial(
        &self,
        mut trial: Trial,
        proxy: &FaultProxy,
        connection: &Connection,
        tally: &mut Tally,
    ) {
        loop {
            let (place, bit) = (trial.place(self.tls.is_some()), trial.rng.u8(..8));
            proxy.flip_once(trial.direction, place, bit);
            let ended = self.transfer(&trial, connection).await;
            if proxy.is_to_flip(trial.direction) {
                assert_eq!(ended.state, State::Completed, "without a fault: {ended:?}");
                tally.missed += 1;
                if !trial.up {
                    std::fs::remove_file(&ended.path).unwrap();
                }
                continue;
            }
            tally.trials += 1;
            let what = format!(
                "trial {}: bit {bit} of byte {place} {:?}, {ended:?}",
                trial.number, trial.direction
            );
            match ended.state {
                State::Completed => {
                    let proof = ended.verified.map_or("none", Verified::as_str);
                    *tally.completed.entry(proof).or_default() += 1;
                    if !self.is_right(&trial, &ended, tally).await {
                        tally.undetected.push(what);
                    }
                }
                State::Failed => {
                    let error = ended.error.as_ref().unwrap();
                    assert!(
                        !error.code.is_empty() && !error.message.is_empty(),
                        "{what}"
                    );
                    // Some failures keep what was moved, for a retry.
                    self.scene.utility.remove(ended.id).await.unwrap();
                    *tally.failed.entry(error.code.clone()).or_default() += 1;
                }
                other => panic!("{other}: {what}"),
            }
            return;
        }
    }

    async fn transfer(&self, trial: &Trial, connection: &Connection) -> Transfer {
        let (utility, key) = (&self.scene.utility, trial.key());
        let observer = if trial.up {
            let source = self.scene.dir.path().join(trial.size.to_string());
            let upload = utility.upload(BUCKET, key, source);
            let upload = upload.content_type("application/x-trial");
            let upload = upload.metadata("number", trial.number.to_string());
            upload.connection(connection.clone()).await
        } else {
            let target = self.scene.target(&trial.number.to_string());
            let download = utility.download(BUCKET, key, target);
            download.connection(connection.clone()).await
        };
        observer.unwrap().finished().await.unwrap()
    }

    /// Whether what was asked for is there.
    async fn is_right(&self, trial: &Trial, ended: &Transfer, tally: &mut Tally) -> bool {
        let head = self.scene.utility.head(BUCKET, trial.key());
        let head = head.connection(self.direct.clone()).await.unwrap();
        if head.etag != ended.etag {
            tally.etags += 1;
        }
        if trial.up {
            let stored = self.scene.server.object_bytes(BUCKET, &trial.key());
            let number = ("number".to_owned(), trial.number.to_string());
            return stored.is_ok_and(|stored| stored == trial.content())
                && head.content_type.as_deref() == Some("application/x-trial")
                && head.metadata.into_iter().collect::<Vec<_>>() == [number];
        }
        let time = std::fs::metadata(&ended.path).unwrap().modified().unwrap();
        let time = time
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let there = head.last_modified.unwrap().as_millis() as u64 / 1000;
        // Of no bytes there is one answer alone, and nothing to compare it with.
        if there != time && trial.size > 0 {
            tally.times += 1;
        }
        let fetched = std::fs::read(&ended.path).unwrap();
        std::fs::remove_file(&ended.path).unwrap();
        fetched == trial.content()
    }
}

async fn play(secure: bool, trials: u64) -> Tally {
    let start = Instant::now();
    let ground = Ground::new(secure, trials).await;
    let lanes: Vec<_> = (0..LANES)
        .map(|_| tokio::spawn(Arc::clone(&ground).lane()))
        .collect();
    let mut tally = Tally::default();
    for lane in lanes {
        tally.add(lane.await.unwrap());
    }
    tally.open = ground.scene.server.open_uploads(BUCKET).len();
    println!("{tally:#?} in {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(ground.scene.leftovers(&[]), [] as [std::path::PathBuf; 0]);
    assert_eq!(tally.undetected, [] as [String; 0]);
    assert_eq!((tally.times, tally.open), (0, 0));
    tally
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bit_flipped_on_the_wire_goes_unnoticed() {
    let tally = play(false, 10_000).await;
    // What was flipped in a request may look like one that is refused for good.
    assert!(tally.failures() < tally.trials / 4, "{:?}", tally.failed);
}

/// There it is no bit of a request or an answer any more, but a broken connection.
#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_flipped_bit_costs_a_connection_and_no_transfer() {
    let tally = play(true, 1_000).await;
    assert_eq!(tally.failed, BTreeMap::new());
    assert_eq!(tally.etags, 0);
}
