//! The server on its own: `towline-testserver [options]`, until it is interrupted.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use towline_testserver::{Builder, Script, TestServer};

const USAGE: &str = "\
An S3 server for tests, on loopback only.

usage: towline-testserver [options]
  --listen 127.0.0.1:PORT   default 127.0.0.1:0, a free port
  --dir DIR                 keep everything in DIR; default: in memory
  --bucket NAME             make sure this bucket exists; may be repeated
  --requester-pays NAME     the same, of one whose requesters pay
  --access-key KEY          default test
  --secret-key SECRET       default testsecret
  --tls DIR                 https, with DIR/cert.pem and DIR/key.pem
  --bandwidth BYTES         body bytes a second, both directions together; default no limit
  --script FILE             what to do wrong, see docs/faults.md

It prints `listening on http://127.0.0.1:PORT`, or `https://`. Outside S3 it answers
  GET  /_towline/history             every request so far, as JSON
  POST /_towline/bandwidth?bytes=N   another bandwidth; 0 is no limit
  PUT  /_towline/script              another script; what the old one had counted is forgotten
  DELETE /_towline/script            no fault any more";

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprint!(": {source}");
                cause = source.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let server = options.builder.start().await?;
    server.faults().play(options.script)?;
    println!("listening on {}", server.endpoint());
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

struct Options {
    builder: Builder,
    script: Script,
}

impl Options {
    /// `None` asks for the usage.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut builder = TestServer::builder();
        let (mut access_key, mut secret_key) = ("test".to_owned(), "testsecret".to_owned());
        let (mut script, mut bandwidth) = (Script::new(), None);
        while let Some(option) = arguments.next() {
            if matches!(option.as_str(), "-h" | "--help") {
                return Ok(None);
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--listen" => builder = builder.port(loopback_port(&value)?),
                "--dir" => builder = builder.directory(value),
                "--bucket" => builder = builder.bucket(value),
                "--requester-pays" => builder = builder.requester_pays(value),
                "--access-key" => access_key = value,
                "--secret-key" => secret_key = value,
                "--tls" => {
                    let file = |name| read_file(Path::new(&value).join(name));
                    builder = builder.tls(file("cert.pem")?, file("key.pem")?);
                }
                "--bandwidth" => {
                    let bytes = value.parse();
                    let bytes = bytes.map_err(|_| format!("{value} is no number of bytes"))?;
                    bandwidth = Some(bytes);
                }
                "--script" => script = read_script(&value)?,
                _ => return Err(format!("unknown option {option}")),
            }
        }
        let builder = builder.credentials(access_key, secret_key);
        if let Some(bytes) = bandwidth {
            script = script.bandwidth(bytes);
        }
        Ok(Some(Self { builder, script }))
    }
}

fn read_file(file: impl AsRef<Path>) -> Result<String, String> {
    let file = file.as_ref();
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn read_script(file: &str) -> Result<Script, String> {
    let json = read_file(file)?;
    Script::from_json(&json).map_err(|error| match error.source() {
        Some(source) => format!("{file}: {error}: {source}"),
        None => format!("{file}: {error}"),
    })
}

fn loopback_port(address: &str) -> Result<u16, String> {
    match address.parse::<SocketAddr>() {
        Ok(address) if address.ip() == Ipv4Addr::LOCALHOST => Ok(address.port()),
        Ok(_) => Err(format!(
            "{address} is not 127.0.0.1, the only address this server listens on"
        )),
        Err(_) => Err(format!("{address} is no address and port")),
    }
}
