//! A line for each change of state, as it happens.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use towline::{Cursor, Reason, SqliteReader, State, Transfer, TransferId};
use towline_daemon::{Client, Event, Follow};

use crate::args::{Common, Watch};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, to_json};
use crate::verbs::list::row;

/// How long until an owner is looked for again.
const NOBODY: Duration = Duration::from_millis(500);

pub(super) async fn run(args: Watch, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let mut watched = Watched {
        only: args.ids.iter().copied().collect(),
        open: args.ids.iter().copied().collect(),
        told: HashMap::new(),
        output,
    };
    let dir = common.state_dir();
    let mut cursor: Option<Cursor> = None;
    loop {
        if let Ok((client, _)) = Client::connect(&dir).await {
            let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
            let follow = Follow {
                after: cursor,
                ids: Some(ids.join(",")),
                ..Follow::default()
            };
            if let Ok(mut events) = client.events(&follow).await {
                while let Ok(Some(event)) = events.next().await {
                    match event {
                        Event::Transfer(transfer) => watched.tell(&transfer),
                        Event::Removed(id) => watched.removed(id),
                        Event::Reached(place) => cursor = Some(place),
                        Event::Group(_) => {}
                        Event::Handover => break,
                    }
                    if watched.is_done() {
                        return Ok(Exit::Done);
                    }
                }
            }
        }
        // Nobody runs them; they are as the store has them.
        if dir.join("towline.db").exists() {
            let reader = SqliteReader::open(&dir)?;
            for id in watched.open.clone() {
                match reader.get(id).await? {
                    Some(record) => watched.tell(&Transfer::at_rest(record)),
                    None => watched.removed(id),
                }
            }
        } else {
            watched
                .open
                .clone()
                .into_iter()
                .for_each(|id| watched.removed(id));
        }
        if watched.is_done() {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(NOBODY).await;
    }
}

struct Watched<'a> {
    /// Those that were named; all when it is empty.
    only: HashSet<TransferId>,
    /// Of these, the ones that have not ended.
    open: HashSet<TransferId>,
    told: HashMap<TransferId, (State, Option<Reason>, u64)>,
    output: &'a mut Output,
}

impl Watched<'_> {
    fn tell(&mut self, transfer: &Transfer) {
        // Programs are told of bytes too.
        let bytes = match self.output.is_json() {
            true => transfer.bytes_transferred,
            false => 0,
        };
        let now = (transfer.state, transfer.reason, bytes);
        if self.told.insert(transfer.id, now) != Some(now) {
            match self.output.is_json() {
                true => self.output.json_line(&to_json(transfer)),
                false => self.output.line(&row(transfer)),
            }
        }
        if transfer.state.is_final() {
            self.open.remove(&transfer.id);
        }
    }

    fn removed(&mut self, id: TransferId) {
        if self.open.remove(&id) || self.told.remove(&id).is_some() {
            self.output
                .remark(&format!("{id:>5}  is not recorded any more"));
        }
    }

    fn is_done(&self) -> bool {
        !self.only.is_empty() && self.open.is_empty()
    }
}
