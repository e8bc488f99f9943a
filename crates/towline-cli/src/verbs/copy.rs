//! `copy`: an object to another key or bucket, or those below a prefix to another
//! one, by the store itself, to the end.

use towline::{GroupRequest, Priority, TransferOptions, TransferRequest};

use super::carry;
use crate::args::{Common, Copy, OnChange, Running};
use crate::error::Error;
use crate::exit::Exit;
use crate::group;
use crate::identity;
use crate::output::Output;
use crate::url::S3Url;

pub(crate) async fn run(args: Copy, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    if args.from.is_prefix() {
        return prefix(&args, common, output).await;
    }
    let from = args.from.key().map_err(Error::address)?;
    let to = target(&args.to, from.as_str());
    let (source, target) = (args.from.bucket.as_str(), args.to.bucket.as_str());
    let mut request = TransferRequest::copy(source, from.as_str(), target, to);
    request.version_id.clone_from(&args.version_id);
    request.restart = args.restart;
    request.options = options(&args);
    let identity = identity::connection(common)?;
    let how = (&running(&args), &args.waiting);
    carry(vec![request], identity, how, common, output).await
}

/// All objects below a prefix, as one group.
async fn prefix(args: &Copy, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let (from, to) = (&args.from, &args.to);
    if args.version_id.is_some() {
        let words = "--version-id is of one object, and a prefix has many".into();
        return Err(Error::Usage(words));
    }
    if !to.is_prefix() {
        return Err(Error::Usage(format!(
            "a prefix is copied to a prefix: s3://{}/{}/ with '/' at its end",
            to.bucket, to.rest
        )));
    }
    let mut request = GroupRequest::copy(
        from.bucket.as_str(),
        from.rest.as_str(),
        to.bucket.as_str(),
        to.rest.as_str(),
    );
    request.options = options(args);
    request.restart = args.restart;
    group::run(request, (&running(args), &args.waiting), common, output).await
}

fn running(args: &Copy) -> Running {
    Running {
        concurrency: args.running.concurrency,
        bandwidth: None,
        request_rate: None,
        priority: args.running.priority,
        detach: args.running.detach,
        ephemeral: args.running.ephemeral,
    }
}

/// The key named, or the last name of the source below the prefix named.
fn target(to: &S3Url, from: &str) -> String {
    match from.rsplit('/').next() {
        Some(name) if to.is_prefix() => format!("{}{name}", to.rest),
        _ => to.rest.clone(),
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
