//! How `daemon run` serves its state beside the control socket.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use towline_daemon::{Mode, Service};

use crate::parse;

#[derive(Debug, Args)]
pub(crate) struct Serving {
    /// Serve the HTTP API and the page on an address of this machine alone; port 0 takes a free one
    #[arg(long, value_name = "127.0.0.1:PORT", value_parser = loopback)]
    pub(crate) listen: Option<SocketAddr>,
    /// A directory that files of transfers submitted over HTTP may be in; several may be named
    /// [default: any]
    #[arg(long, value_name = "DIR", requires = "listen")]
    pub(crate) root: Vec<PathBuf>,
    /// Room for files that browsers send, until they are uploaded
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = parse::bytes, requires = "listen")]
    pub(crate) spool_quota: u64,
}

impl Serving {
    pub(crate) fn service(&self, mode: Mode) -> Service {
        let mut service = Service::new(mode);
        service.listen = self.listen;
        service.roots.clone_from(&self.root);
        service.spool_quota = self.spool_quota;
        service
    }

    /// The same, as options of `daemon run`.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let Some(listen) = self.listen else {
            return Vec::new();
        };
        let mut options = vec![
            format!("--listen={listen}").into(),
            format!("--spool-quota={}", self.spool_quota).into(),
        ];
        for root in &self.root {
            options.extend(["--root".into(), root.into()]);
        }
        options
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .replace("localhost:", "127.0.0.1:")
        .parse()
        .map_err(|_| format!("{text:?} is not an address with a port, such as 127.0.0.1:8640"))?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{address} can be reached from other machines; take 127.0.0.1, and a tunnel such as \
             `ssh -L` to reach it from elsewhere"
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_only_addresses_of_this_machine_are_listened_on() {
        for fine in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:8640", "localhost:1"] {
            loopback(fine).unwrap();
        }
        for wrong in [
            "0.0.0.0:80",
            "[::]:80",
            "192.168.1.1:80",
            "127.0.0.1",
            "80",
            "example.com:80",
        ] {
            loopback(wrong).unwrap_err();
        }
    }
}
