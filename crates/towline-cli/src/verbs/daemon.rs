//! `daemon run`: owns the state in the foreground and goes on with all that is
//! unfinished in it.

use std::time::Duration;

use towline::{Query, State};

use crate::args::{Common, Daemon, DaemonVerb, Run};
use crate::attach::Signals;
use crate::error::Error;
use crate::exit::Exit;
use crate::reach::Owner;

/// How long there must be nothing to do before it leaves.
const IDLE: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: Daemon, common: &Common) -> Result<Exit, Error> {
    let DaemonVerb::Run(run) = args.verb;
    if run.until_idle {
        // The terminal that it was started from may go.
        let _ = rustix::process::setsid();
    }
    let mut signals = Signals::new()?;
    let dir = common.state_dir();
    let owner = tokio::select! {
        owner = Owner::wait_for(&dir, run.serving.service()) => owner?,
        _ = signals.next() => return Ok(Exit::Done),
    };
    tokio::select! {
        done = stay(&owner, &run) => done?,
        _ = signals.next() => {}
    }
    tokio::select! {
        left = owner.leave() => left?,
        _ = signals.next() => {}
    }
    Ok(Exit::Done)
}

/// Stays until it is told to go, or nothing is left to do.
async fn stay(owner: &Owner, run: &Run) -> Result<(), Error> {
    if !run.until_idle {
        return std::future::pending().await;
    }
    let mut idle = false;
    loop {
        tokio::time::sleep(IDLE).await;
        let unfinished = Query {
            states: vec![State::Waiting, State::InProgress, State::WaitingForNetwork],
            limit: 1,
            ..Query::default()
        };
        let (unfinished, more) = owner.utility.find(unfinished).await?;
        let nothing = unfinished.is_empty() && more.is_none();
        if nothing && idle {
            return Ok(());
        }
        idle = nothing;
    }
}
