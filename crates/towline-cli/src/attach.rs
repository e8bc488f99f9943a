//! Stays with transfers until they have ended, or there is a reason not to.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use towline::{Query, Reason, State, Transfer, TransferObserver, TransferUtility};

use crate::args::Waiting;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;

/// How often the display is brought up to date.
const REFRESH: Duration = Duration::from_millis(100);

/// Stays until every transfer has ended; says how each did.
pub(crate) async fn attach(
    utility: &TransferUtility,
    observers: Vec<TransferObserver>,
    waiting: &Waiting,
    output: &mut Output,
) -> Result<Exit, Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("cannot watch signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let progress = Progress::new(output);
    let start = Instant::now();
    let everyone = futures_util::future::join_all(observers.iter().map(|o| o.finished()));
    let mut everyone = std::pin::pin!(everyone);
    let ended = loop {
        tokio::select! {
            ended = &mut everyone => break ended,
            _ = interrupt.recv() => return leave(utility, &progress, output, Exit::Interrupted).await,
            _ = terminate.recv() => return leave(utility, &progress, output, Exit::Terminated).await,
            () = tokio::time::sleep(REFRESH) => {}
        }
        let now: Vec<Transfer> = observers.iter().map(TransferObserver::transfer).collect();
        progress.show(&now);
        if let Some(why) = reason_to_give_up(&now, waiting, start.elapsed()) {
            progress.clear();
            output.error(&why);
            let json = output.is_json();
            for transfer in now.iter().filter(|t| json || t.state.is_final()) {
                output.transfer(transfer);
            }
            utility.close().await?;
            return Ok(Exit::Failed);
        }
    };
    progress.clear();
    let mut all_done = true;
    for transfer in ended {
        let transfer = transfer?;
        all_done &= transfer.state == State::Completed;
        if transfer.generation > 1 && transfer.state == State::Completed {
            let starts = transfer.generation;
            output.remark(&format!(
                "{}: the source or object changed; sent {starts} times",
                transfer.key
            ));
        }
        output.transfer(&transfer);
    }
    tell_of_others(utility, output).await?;
    utility.close().await?;
    Ok(if all_done { Exit::Done } else { Exit::Failed })
}

/// A store that has never answered, for too long; or simply too long.
fn reason_to_give_up(now: &[Transfer], waiting: &Waiting, since: Duration) -> Option<String> {
    if waiting.max_wait.is_some_and(|most| since >= most) {
        return Some(format!(
            "not done after {} s; the same command goes on",
            since.as_secs()
        ));
    }
    let limit = waiting.connect_timeout;
    if waiting.wait || waiting.max_wait.is_some() || since < limit {
        return None;
    }
    let stuck = now.iter().find(|transfer| {
        let parked = transfer.state == State::WaitingForNetwork
            || matches!(transfer.reason, Some(Reason::Parked(_)));
        parked && !transfer.store_answered()
    })?;
    let why = stuck
        .error
        .as_ref()
        .map_or("no answer", |error| error.message.as_str());
    Some(format!(
        "gave up after {} s without an answer from the store: {why}. \
         The same command goes on; --wait waits without limit",
        limit.as_secs()
    ))
}

async fn leave(
    utility: &TransferUtility,
    progress: &Progress,
    output: &mut Output,
    exit: Exit,
) -> Result<Exit, Error> {
    progress.clear();
    utility.close().await?;
    output.remark("stopped; what was moved is kept, the same command goes on");
    Ok(exit)
}

/// Work of others in the same store is not done in passing, but said.
async fn tell_of_others(utility: &TransferUtility, output: &mut Output) -> Result<(), Error> {
    let states = vec![State::Waiting, State::InProgress, State::WaitingForNetwork];
    let (others, more) = utility
        .find(Query {
            states,
            ..Query::default()
        })
        .await?;
    if !others.is_empty() {
        let count = others.len();
        let more = if more.is_some() { " or more" } else { "" };
        output.remark(&format!(
            "{count}{more} other transfers are unfinished; see: towline list"
        ));
    }
    Ok(())
}
