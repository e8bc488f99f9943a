//! The fault proxy, seen byte by byte from both of its sides.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use towline_testkit::fault_proxy::{BadCertificate, By, Direction, FaultProxy};

/// A proxy, and the server behind it.
struct Scene {
    proxy: FaultProxy,
    server: TcpListener,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
    Silent,
}

const EACH: [(By, End); 2] = [(By::Fin, End::Fin), (By::Rst, End::Rst)];

/// Long enough that what has not come by then does not come.
const SILENCE: Duration = Duration::from_secs(1);

impl Scene {
    async fn start() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let proxy = FaultProxy::start(address).await.unwrap();
        Self { proxy, server }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.proxy.address()).await.unwrap()
    }

    /// Both ends of one connection through the proxy.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = self.dial().await;
        let (server, _) = self.server.accept().await.unwrap();
        (client, server)
    }
}

/// Everything that comes, and how it ends.
async fn hear(stream: &mut TcpStream) -> (Vec<u8>, End) {
    let mut all = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match timeout(SILENCE, stream.read(&mut piece)).await {
            Err(_) => return (all, End::Silent),
            Ok(Ok(0)) => return (all, End::Fin),
            Ok(Ok(read)) => all.extend_from_slice(&piece[..read]),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => return (all, End::Rst),
            Ok(Err(error)) => panic!("{error}"),
        }
    }
}

/// Sends on one end and hears the other.
async fn send(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> (Vec<u8>, End) {
    let sending = async {
        // It may be cut while it sends.
        let _ = from.write_all(bytes).await;
    };
    tokio::join!(sending, hear(to)).1
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn what_is_sent_arrives_both_ways_and_the_end_too() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connect().await;
    let all = bytes(300_000);
    assert_eq!(
        send(&mut client, &mut server, &all).await,
        (all.clone(), End::Silent)
    );
    client.shutdown().await.unwrap();
    assert_eq!(hear(&mut server).await, (vec![], End::Fin));
    assert_eq!(
        send(&mut server, &mut client, &all).await,
        (all, End::Silent)
    );
    server.shutdown().await.unwrap();
    assert_eq!(hear(&mut client).await, (vec![], End::Fin));
}

#[tokio::test]
async fn a_refusing_proxy_has_its_port_closed_and_comes_back_on_it() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.refuse();
    assert_eq!(hear(&mut client).await, (vec![], End::Rst));
    assert_eq!(hear(&mut server).await, (vec![], End::Rst));
    let error = TcpStream::connect(scene.proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    scene.proxy.pass();
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(scene.proxy.address()).await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_resetting_proxy_resets_what_is_open_and_what_comes() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.reset();
    assert_eq!(hear(&mut client).await, (vec![], End::Rst));
    assert_eq!(hear(&mut server).await, (vec![], End::Rst));
    assert_eq!(hear(&mut scene.dial().await).await, (vec![], End::Rst));
}

#[tokio::test]
async fn a_black_hole_freezes_what_is_open_and_thaws_it_whole() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.blackhole();
    assert_eq!(
        send(&mut client, &mut server, b"up").await,
        (vec![], End::Silent)
    );
    assert_eq!(
        send(&mut server, &mut client, b"down").await,
        (vec![], End::Silent)
    );
    let mut new = scene.dial().await;
    assert_eq!(hear(&mut new).await, (vec![], End::Silent));
    scene.proxy.pass();
    assert_eq!(hear(&mut server).await, (b"up".to_vec(), End::Silent));
    assert_eq!(hear(&mut client).await, (b"down".to_vec(), End::Silent));
}

#[tokio::test]
async fn latency_delays_and_does_not_thin() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connect().await;
    let latency = Duration::from_millis(150);
    scene.proxy.latency(latency);
    let start = Instant::now();
    client.write_all(&bytes(500_000)).await.unwrap();
    let mut first = [0; 1];
    server.read_exact(&mut first).await.unwrap();
    assert!(start.elapsed() >= latency, "{:?}", start.elapsed());
    let mut rest = vec![0; 499_999];
    server.read_exact(&mut rest).await.unwrap();
    // One piece after the other would take thirty times as long.
    assert!(start.elapsed() < latency * 10, "{:?}", start.elapsed());
}

#[tokio::test]
async fn bandwidth_bounds_each_direction() {
    let scene = Scene::start().await;
    scene.proxy.bandwidth(200_000);
    let (mut client, mut server) = scene.connect().await;
    for _ in 0..2 {
        let start = Instant::now();
        client.write_all(&bytes(100_000)).await.unwrap();
        let mut all = vec![0; 100_000];
        server.read_exact(&mut all).await.unwrap();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(400), "{took:?}");
        assert!(took <= Duration::from_secs(4), "{took:?}");
        std::mem::swap(&mut client, &mut server);
    }
}

#[tokio::test]
async fn every_connection_is_cut_now() {
    for (by, end) in EACH {
        let scene = Scene::start().await;
        let (mut one, mut its_server) = scene.connect().await;
        let (mut other, _kept) = scene.connect().await;
        scene.proxy.cut_all(by);
        assert_eq!(hear(&mut one).await, (vec![], end));
        assert_eq!(hear(&mut other).await, (vec![], end));
        assert_eq!(hear(&mut its_server).await, (vec![], end));
        let (mut new, mut server) = scene.connect().await;
        assert_eq!(send(&mut new, &mut server, b"hello").await.0, b"hello");
    }
}

#[tokio::test]
async fn a_cut_comes_after_exactly_so_many_bytes_of_its_direction() {
    for (by, end) in EACH {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let scene = Scene::start().await;
            scene.proxy.cut_after(direction, 50_001, by);
            let (mut client, mut server) = scene.connect().await;
            let (from, to) = match direction {
                Direction::ToServer => (&mut client, &mut server),
                Direction::ToClient => (&mut server, &mut client),
            };
            // The other way is not counted.
            assert_eq!(send(to, from, &bytes(60_000)).await.0.len(), 60_000);
            let heard = send(from, to, &bytes(100_000)).await;
            assert_eq!(heard, (bytes(50_001), end), "{direction:?} {by:?}");
        }
    }
}

#[tokio::test]
async fn exactly_one_bit_is_flipped_in_its_direction() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let scene = Scene::start().await;
        scene.proxy.flip(direction, 70_001, 5);
        let (mut client, mut server) = scene.connect().await;
        let (from, to) = match direction {
            Direction::ToServer => (&mut client, &mut server),
            Direction::ToClient => (&mut server, &mut client),
        };
        let mut expected = bytes(100_000);
        assert_eq!(send(to, from, &expected).await.0, expected, "the other way");
        let heard = send(from, to, &expected).await;
        expected[70_001] ^= 1 << 5;
        assert_eq!(heard, (expected, End::Silent), "{direction:?}");
    }
}

#[tokio::test]
async fn a_bit_is_flipped_once_wherever_its_byte_passes() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let scene = Scene::start().await;
        scene.proxy.flip_once(direction, 70_001, 5);
        for n in 0..4 {
            let (mut client, mut server) = scene.connect().await;
            let (from, to) = match direction {
                Direction::ToServer => (&mut client, &mut server),
                Direction::ToClient => (&mut server, &mut client),
            };
            let sent = bytes(30_000);
            assert_eq!(send(to, from, &sent).await.0, sent, "the other way");
            let (heard, _) = send(from, to, &sent).await;
            let mut expected = sent;
            if n == 2 {
                expected[10_001] ^= 1 << 5;
            }
            assert_eq!(heard, expected, "{direction:?} {n}");
            assert_eq!(scene.proxy.is_to_flip(direction), n < 2);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_silent_too_long_is_reset_on_both_sides_and_no_other() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.cut_silent(Duration::from_millis(600));
    // Bytes one way keep it.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.write_all(b"x").await.unwrap();
    }
    let heard = hear(&mut server).await;
    assert_eq!(heard, (vec![b'x'; 10], End::Rst));
    assert_eq!(hear(&mut client).await, (vec![], End::Rst));
}

/// What a client that trusts this certificate says of the handshake.
async fn handshake(scene: &Scene, trusted: Option<&str>) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = trusted {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        roots.add(certificate).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(name, scene.dial().await)
        .await
        .map_err(|error| error.to_string())?;
    // The server gets what is inside.
    stream.write_all(b"hello").await.unwrap();
    let (mut server, _) = scene.server.accept().await.unwrap();
    let mut got = [0; 5];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    Ok(())
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_fine_for_those_who_trust_it() {
    let scene = Scene::start().await;
    let pem = scene.proxy.bad_tls(BadCertificate::SelfSigned);
    let refused = handshake(&scene, None).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    let _ = scene.server.accept().await.unwrap();
    handshake(&scene, Some(&pem)).await.unwrap();
}

#[tokio::test]
async fn a_bad_certificate_is_bad_for_those_who_trust_it_too() {
    for (bad, reason) in [
        (BadCertificate::Expired, "expired"),
        (BadCertificate::NotYetValid, "not valid yet"),
        (BadCertificate::WrongHost, "not valid for name"),
    ] {
        let scene = Scene::start().await;
        let pem = scene.proxy.bad_tls(bad);
        let refused = handshake(&scene, Some(&pem)).await.unwrap_err();
        assert!(refused.contains(reason), "{bad:?}: {refused}");
    }
}
