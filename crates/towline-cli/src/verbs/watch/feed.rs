//! What the table is told: by whoever owns the state, or by the store where
//! nobody does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use towline::{Cursor, Query, State, Transfer, TransferId};
use towline_daemon::{About, Client, ClientError, Event, Follow, Steer, Verb};

use crate::error::Error;
use crate::identity;
use crate::output::state_text;
use crate::verbs::list::Source;

/// How long until an owner is looked for again.
const NOBODY: Duration = Duration::from_millis(500);
/// The most unfinished transfers that are read; others come as they change.
const UNFINISHED: usize = 5000;
/// How many finished ones are read, the newest.
const FINISHED: usize = 200;

/// One thing that is new.
#[derive(Debug)]
pub(super) enum Told {
    /// Who owns the state; `None` when nobody does.
    Owner(Option<About>),
    /// A transfer as it is.
    Transfer(Box<Transfer>),
    /// It is not recorded any more.
    Removed(TransferId),
    /// What was told before is of another store.
    Anew,
}

/// Tells of all transfers until nobody listens, whoever owns them.
pub(super) async fn follow(dir: PathBuf, tell: Sender<Told>) -> Result<(), Error> {
    let mut cursor: Option<Cursor> = None;
    while !tell.is_closed() {
        if let Ok((client, about)) = Client::connect(&dir).await {
            let _ = tell.send(Told::Owner(Some(about))).await;
            let follow = Follow {
                after: cursor,
                ..Follow::default()
            };
            match client.events(&follow).await {
                Ok(mut events) => {
                    // What changes from here on is told by the events.
                    if cursor.is_none()
                        && read(&Source::Owner(client, dir.clone()), &tell)
                            .await
                            .is_err()
                    {
                        continue;
                    }
                    while let Ok(Some(event)) = events.next().await {
                        let told = match event {
                            Event::Transfer(transfer) => Told::Transfer(transfer),
                            Event::Removed(id) => Told::Removed(id),
                            Event::Reached(place) => {
                                cursor = Some(place);
                                continue;
                            }
                            Event::Group(_) => continue,
                            Event::Handover => break,
                        };
                        if tell.send(told).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                Err(ClientError::Problem(_)) if cursor.is_some() => {
                    cursor = None;
                    let _ = tell.send(Told::Anew).await;
                }
                Err(_) => {}
            }
        }
        let source = Source::open(&dir).await?;
        if !matches!(source, Source::Owner(..)) {
            let _ = tell.send(Told::Owner(None)).await;
            read(&source, &tell).await?;
        }
        tokio::time::sleep(NOBODY).await;
    }
    Ok(())
}

/// Tells of all that is unfinished and of what has ended last.
async fn read(source: &Source, tell: &Sender<Told>) -> Result<(), Error> {
    let (finished, unfinished) = State::ALL
        .into_iter()
        .partition(|state: &State| state.is_final());
    let unfinished = Query {
        states: unfinished,
        ..Query::default()
    };
    let finished = Query {
        states: finished,
        newest_first: true,
        ..Query::default()
    };
    for (query, most) in [(unfinished, UNFINISHED), (finished, FINISHED)] {
        for transfer in source.rows(query, most).await? {
            let _ = tell.send(Told::Transfer(Box::new(transfer))).await;
        }
    }
    Ok(())
}

/// Steers a transfer through whoever owns it; tells what became of it.
pub(super) async fn steer(dir: &Path, verb: Verb, id: TransferId) -> String {
    let Ok((client, _)) = Client::connect(dir).await else {
        return "nobody carries transfers now; see: towline daemon start".into();
    };
    let steer = Steer {
        ids: vec![id],
        credentials: match verb {
            Verb::Pause => None,
            _ => identity::of_environment(),
        },
        ..Steer::default()
    };
    let steered = match client.steer(verb, &steer).await {
        Ok(steered) => steered,
        Err(error) => return error.to_string(),
    };
    let Some(one) = steered.transfers.first() else {
        return format!("{id}: there is nothing to {}", verb.as_str());
    };
    match (&one.problem, one.state) {
        (Some(problem), _) => problem.detail.clone(),
        (None, Some(state)) if one.changed => format!("{id} {}", state_text(state, one.reason)),
        (None, Some(state)) => format!("{id} is {state}, there is nothing to {}", verb.as_str()),
        (None, None) => format!("{id} is not recorded any more"),
    }
}
