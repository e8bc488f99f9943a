//! Servers that mean harm: a clear failure, little memory, no panic, in time.

mod bodies;
mod heads;
mod listings;
mod redirects;
mod server;
mod victim;

use server::{Asked, Evil, Reply};
use victim::{Told, Verb, suffer};

/// By this much the memory of who is attacked may rise.
const MOST_KIB: u64 = 64 << 10;

/// A name, and what such a server answers.
type Case = (&'static str, Box<dyn Fn(Asked) -> Reply + Send + Sync>);

fn case(name: &'static str, answer: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> Case {
    (name, Box::new(answer))
}

/// Each of these servers makes the transfer fail, or wait and say why, and no more.
async fn all_fail(verb: Verb, cases: Vec<Case>) {
    for (name, answer) in cases {
        let server = Evil::start(answer).await;
        let told = suffer(verb, server.endpoint()).await;
        is_failed(name, &told);
    }
}

fn is_failed(name: &str, told: &Told) {
    println!(
        "{name}: {} {} {}, {} KiB",
        told.state, told.code, told.message, told.rise_kib
    );
    let state = told.state.as_str();
    let ended = ["failed", "refused", "waiting_for_network"].contains(&state);
    assert!(ended, "{name}: {told:?}");
    let says_why = !told.code.is_empty() && told.message.len() > 10;
    assert!(says_why && told.message.len() < 2000, "{name}: {told:?}");
    assert_eq!(told.fetched, None, "{name}");
    is_small(name, told);
}

fn is_small(name: &str, told: &Told) {
    assert!(told.rise_kib < MOST_KIB, "{name}: {} KiB", told.rise_kib);
}

/// What an honest server says of an object of 1000 bytes.
fn object() -> Reply {
    Reply::Whole(
        b"HTTP/1.1 200 OK\r\netag: \"e\"\r\nx-amz-request-id: 1\r\ncontent-length: 1000\r\n\r\n"
            .to_vec(),
    )
}
