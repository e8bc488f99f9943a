//! A long and narrow way to a server: `towline-link --to 127.0.0.1:PORT [options]`, until it is killed.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use towline_testserver::{Link, Way};

const USAGE: &str = "\
A link to a server, shared by all connections, on loopback only.

usage: towline-link --to 127.0.0.1:PORT [options]
  --round-trip MS   default 0
  --up MBIT         megabits a second to the server; default no limit
  --down MBIT       megabits a second from the server; default no limit

It prints `listening on 127.0.0.1:PORT`.";

// One thread is plenty, and its share of the CPU is easy to tell.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (server, way) = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(server, way).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(server: SocketAddr, way: Way) -> Result<(), Box<dyn Error>> {
    let link = Link::start(server, way).await?;
    println!("listening on {}", link.address());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(SocketAddr, Way), String> {
    let (mut server, mut way) = (None, Way::default());
    while let Some(option) = arguments.next() {
        let value = arguments.next();
        let value = value.ok_or_else(|| format!("{option} needs a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{value} is no number"))
        };
        match option.as_str() {
            "--to" => {
                let address = value.parse();
                server = Some(address.map_err(|_| format!("{value} is no address and port"))?);
            }
            "--round-trip" => way.round_trip = Duration::from_millis(number()?),
            "--up" => way.up = number()?.saturating_mul(BYTES_PER_MBIT),
            "--down" => way.down = number()?.saturating_mul(BYTES_PER_MBIT),
            _ => return Err(format!("unknown option {option}")),
        }
    }
    let server = server.ok_or("--to is missing")?;
    Ok((server, way))
}

const BYTES_PER_MBIT: u64 = 1_000_000 / 8;
