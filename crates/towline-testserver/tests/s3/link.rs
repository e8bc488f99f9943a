//! The long and narrow way.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use towline_testserver::{Link, Way};

use crate::client::bytes;

/// A link to a server that says again what it is told.
async fn link(way: Way) -> Link {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                to.shutdown().await.unwrap();
            });
        }
    });
    Link::start(server, way).await.unwrap()
}

/// Sends these bytes and the end, and reads what comes back to its end.
async fn echo(address: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.split();
    let send = async {
        to.write_all(sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let (_, read) = tokio::join!(send, from.read_to_end(&mut heard));
    read.unwrap();
    heard
}

#[tokio::test]
async fn every_byte_comes_over_a_link_in_its_place_and_the_end_after_it() {
    let way = Way {
        round_trip: Duration::from_millis(4),
        up: 100_000_000,
        down: 100_000_000,
    };
    let link = link(way).await;
    let sent = bytes(3_000_001);
    assert!(echo(link.address(), &sent).await == sent);
}

#[tokio::test]
async fn being_connected_takes_a_round_trip_and_a_question_another() {
    let round_trip = Duration::from_millis(50);
    let way = Way {
        round_trip,
        ..Way::default()
    };
    let link = link(way).await;
    let start = Instant::now();
    assert_eq!(echo(link.address(), b"?").await, b"?");
    assert!(start.elapsed() >= round_trip * 2);
}

#[tokio::test]
async fn connections_share_the_rate_of_a_link() {
    let way = Way {
        up: 1_000_000,
        ..Way::default()
    };
    let link = link(way).await;
    let sent = bytes(100_000);
    let start = Instant::now();
    tokio::join!(echo(link.address(), &sent), echo(link.address(), &sent));
    assert!(start.elapsed() >= Duration::from_millis(200));
}
