//! `daemon run`: owns the state in the foreground and goes on with all that is
//! unfinished in it.

use std::path::Path;
use std::time::{Duration, Instant};

use towline::{GroupQuery, Query, State};
use towline_daemon::{Client, Mode};

use super::state_dir;
use crate::args::{Common, Run};
use crate::attach::Signals;
use crate::error::Error;
use crate::exit::Exit;
use crate::reach::Owner;
use crate::stream;
use crate::systemd::Systemd;

/// How long there must be nothing to do before it leaves.
const IDLE: Duration = Duration::from_secs(1);
/// How long leaving may take.
const LEAVE: Duration = Duration::from_secs(9);
/// How long after its state could not be written it is opened again.
const REOPEN: Duration = Duration::from_secs(5);
/// How often it is seen who has the state meanwhile.
const WHO: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: Run, common: &Common) -> Result<Exit, Error> {
    if args.background {
        // The terminal that it was started from may go.
        let _ = rustix::process::setsid();
    }
    let mut signals = Signals::new()?;
    let systemd = Systemd::of_environment();
    let dir = state_dir(common)?;
    tokio::spawn({
        let dir = dir.clone();
        async move { stream::end_those_of_the_killed(&dir).await }
    });
    let mut reopens = false;
    loop {
        let owner = tokio::select! {
            owner = own(&dir, &args, &systemd) => owner,
            _ = signals.next() => return Ok(Exit::Done),
        };
        let owner = match owner {
            // Its disk may still be full.
            Err(error @ Error::Towline(_)) if reopens && error.exit() == Exit::Failed => {
                tracing::error!(%error, "the state cannot be opened yet");
                tokio::select! {
                    () = tokio::time::sleep(REOPEN) => continue,
                    _ = signals.next() => return Ok(Exit::Done),
                }
            }
            owner => owner?,
        };
        let Some(owner) = owner else {
            return Ok(Exit::Done);
        };
        tracing::info!(pid = std::process::id(), state_dir = %dir.display(), "ready");
        systemd.ready();
        let ended = tokio::select! {
            ended = stay(&owner, &systemd) => ended?,
            () = owner.told_to_leave() => Ended::Told,
            _ = signals.next() => Ended::Told,
        };
        if ended == Ended::Told {
            systemd.stopping();
        }
        tracing::info!("stopping; what was moved is kept, and goes on at the next start");
        tokio::select! {
            left = tokio::time::timeout(LEAVE, owner.leave()) => match left {
                // Its store cannot be written, so there is nothing to close.
                Ok(Err(error)) if ended == Ended::Unwritten => tracing::error!(%error, "closed badly"),
                Ok(left) => left?,
                Err(_) => tracing::warn!("not all requests could be ended in time"),
            },
            // The second time, at once: nothing is lost by it.
            _ = signals.next() => return Ok(Exit::Done),
        }
        if ended == Ended::Told {
            tracing::info!("stopped");
            return Ok(Exit::Done);
        }
        reopens = true;
        tracing::error!("the state could not be written; it is opened again");
        systemd.status("the state could not be written; it is opened again");
        tokio::select! {
            () = tokio::time::sleep(REOPEN) => {}
            _ = signals.next() => return Ok(Exit::Done),
        }
    }
}

/// Owns the state once whoever owns it now has left. `None`: a daemon does what
/// this one was started for.
async fn own(dir: &Path, args: &Run, systemd: &Systemd) -> Result<Option<Owner>, Error> {
    let mode = match args.until_idle {
        true => Mode::Background,
        false => Mode::Service,
    };
    let mut look = Instant::now();
    let mut said = None;
    loop {
        let service = args.serving.service(mode);
        if let Some(owner) = Owner::try_start(dir, args.moving, args.keeping, service).await? {
            return Ok(Some(owner));
        }
        if look <= Instant::now() {
            look = Instant::now() + WHO;
            if let Ok((_, about)) = Client::connect(dir).await {
                match (about.mode, args.until_idle) {
                    (Mode::Background | Mode::Service, true) => return Ok(None),
                    (Mode::Service, false) => {
                        return Err(Error::Failed(format!(
                            "a daemon runs already: process {}",
                            about.pid
                        )));
                    }
                    _ => {}
                }
                systemd.waiting_for(about.pid);
                if said != Some(about.pid) {
                    said = Some(about.pid);
                    tracing::info!(
                        pid = about.pid,
                        "waiting until the owner of the state has left"
                    );
                }
            }
        }
        tokio::time::sleep(crate::reach::soon()).await;
    }
}

/// Why it does not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// By a signal or a client, or as nothing is left to do.
    Told,
    /// The engine stopped, since its state could not be written.
    Unwritten,
}

/// Stays until the engine stops, or nothing is left to do where that counts.
async fn stay(owner: &Owner, systemd: &Systemd) -> Result<Ended, Error> {
    let under_way = async || owner.utility.under_way().await.map(|moving| moving.len());
    tokio::select! {
        () = systemd.while_it_answers(under_way) => Ok(Ended::Unwritten),
        idle = idle(owner) => idle.map(|()| Ended::Told),
    }
}

/// Whether a group is still to find what it is to move.
async fn lists(owner: &Owner) -> bool {
    let unended = GroupQuery {
        unended: true,
        ..GroupQuery::default()
    };
    match owner.utility.groups(unended).await {
        Ok(groups) => groups.iter().any(|group| group.state != State::Paused),
        Err(_) => true, // the engine has stopped, which `health` tells
    }
}

/// Returns when nothing is left to do, and nobody has asked it to stay.
async fn idle(owner: &Owner) -> Result<(), Error> {
    let mut idle = false;
    loop {
        tokio::time::sleep(IDLE).await;
        if owner.mode() == Mode::Service {
            return std::future::pending().await;
        }
        let unfinished = Query {
            states: vec![State::Waiting, State::InProgress, State::WaitingForNetwork],
            limit: 1,
            ..Query::default()
        };
        let Ok((unfinished, more)) = owner.utility.find(unfinished).await else {
            continue; // the engine has stopped, which `health` tells
        };
        let nothing = unfinished.is_empty() && more.is_none() && !lists(owner).await;
        if nothing && idle {
            return Ok(());
        }
        idle = nothing;
    }
}
