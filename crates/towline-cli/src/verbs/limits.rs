//! `limits`: shows the limits of whoever owns the transfers, and changes them
//! while these run.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use indicatif::BinaryBytes;
use towline::SqliteReader;
use towline_daemon::{Caps, Client, ClientError, SetCaps, SetLimits};

use crate::args::{Common, Limits};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, one_line};

pub(crate) async fn run(args: Limits, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let set = changes(&args)?;
    let dir = common.state_dir();
    let client = match Client::connect(&dir).await {
        Ok((client, _)) => client,
        Err(ClientError::Gone(_)) if !SqliteReader::is_owned(&dir) => {
            return Err(Error::Failed(format!(
                "nobody carries the transfers in {}, so there are no limits; \
                 `towline daemon start --bandwidth RATE` begins with some",
                dir.display()
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let now = match set == SetLimits::default() {
        true => client.limits().await?,
        false => client.set_limits(&set).await?,
    };
    if output.is_json() {
        output.json_line(&serde_json::to_value(&now).unwrap_or_default());
        return Ok(Exit::Done);
    }
    output.line(&format!("requests   {} at one time", now.requests));
    let parts = now.parts_per_transfer;
    let parts = parts.map_or("automatic, those".into(), |parts| parts.to_string());
    output.line(&format!("parts      {parts} of one transfer"));
    let requests = now.request_rate;
    let requests = requests.map_or("no cap".into(), |rate| format!("{rate} requests/s"));
    output.line(&format!("rate       {requests}"));
    output.line(&format!("upload     {}", rate(now.bandwidth.upload)));
    output.line(&format!("download   {}", rate(now.bandwidth.download)));
    for (name, Caps { upload, download }) in &now.groups {
        let (upload, download) = (rate(*upload), rate(*download));
        let line = format!("group      {name}: upload {upload}, download {download}");
        output.line(&one_line(&line));
    }
    Ok(Exit::Done)
}

fn changes(args: &Limits) -> Result<SetLimits, Error> {
    let bytes = |cap: Option<crate::parse::Cap>| cap.map(|cap| cap.bytes_per_second());
    let caps = SetCaps {
        upload: bytes(args.upload),
        download: bytes(args.download),
    };
    let none = caps == SetCaps::default();
    if none && args.group.is_some() {
        let words = "--group says whose --upload or --download is set; give one of them";
        return Err(Error::Usage(words.into()));
    }
    let mut set = SetLimits {
        requests: args.requests,
        parts_per_transfer: args.parts,
        request_rate: args.request_rate.map(|cap| cap.most().map(NonZeroU32::get)),
        ..SetLimits::default()
    };
    match &args.group {
        Some(group) => set.groups = BTreeMap::from([(group.clone(), Some(caps))]),
        None => set.bandwidth = (!none).then_some(Some(caps)),
    }
    Ok(set)
}

fn rate(cap: Option<u64>) -> String {
    cap.map_or("no cap".into(), |cap| format!("{}/s", BinaryBytes(cap)))
}
