//! `copy`: an object to another key or bucket, by the store itself, to the end.

use towline::{Priority, TransferOptions, TransferRequest};

use super::carry;
use crate::args::{Common, Copy, OnChange, Running};
use crate::error::Error;
use crate::exit::Exit;
use crate::identity;
use crate::output::Output;

pub(crate) async fn run(args: Copy, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let from = args.from.key().map_err(Error::address)?;
    let to = target(&args, from.as_str())?;
    let (source, target) = (args.from.bucket.as_str(), args.to.bucket.as_str());
    let mut request = TransferRequest::copy(source, from.as_str(), target, to);
    request.version_id.clone_from(&args.version_id);
    request.restart = args.restart;
    request.options = options(&args);
    let identity = identity::connection(common)?;
    let running = Running {
        concurrency: args.running.concurrency,
        bandwidth: None,
        request_rate: None,
        priority: args.running.priority,
        detach: args.running.detach,
        ephemeral: args.running.ephemeral,
    };
    let how = (&running, &args.waiting);
    carry(vec![request], identity, how, common, output).await
}

/// The key named, or the last name of the source below the prefix named.
fn target(args: &Copy, from: &str) -> Result<String, Error> {
    if !args.to.is_prefix() {
        return Ok(args.to.rest.clone());
    }
    match from.rsplit('/').next() {
        Some(name) if !name.is_empty() => Ok(format!("{}{name}", args.to.rest)),
        _ => Err(Error::Usage(format!(
            "s3://{}/{from} has no last name; name the object to make",
            args.from.bucket
        ))),
    }
}

fn options(args: &Copy) -> TransferOptions {
    let mut options = TransferOptions::default();
    options.if_absent = args.if_absent;
    options.when_source_changes = args.on_change.unwrap_or(OnChange::Restart).into();
    options.part_size = args.part_size;
    options.priority = args.running.priority.map_or(Priority::Normal, Into::into);
    options.object = args.storing.options();
    options.object.content_type.clone_from(&args.content_type);
    options
}
