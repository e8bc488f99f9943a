//! `list`: what is recorded, as its owner sees it, or as the store has it where
//! nobody owns it.

use std::path::Path;

use towline::{Query, SqliteReader, Transfer, TransferId};
use towline_daemon::{Client, Find};

use crate::args::{Common, List};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, state_text, to_json};

/// The most transfers of a page.
const PAGE: usize = 1000;

pub(crate) async fn run(args: List, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let dir = common.state_dir();
    let mut query = Query {
        direction: args.kind.direction(),
        states: args.state.into_iter().map(towline::State::from).collect(),
        newest_first: true,
        ..Query::default()
    };
    let source = Source::open(&dir).await?;
    let mut rows: Vec<Transfer> = Vec::new();
    while rows.len() < args.limit {
        query.limit = (args.limit - rows.len()).min(PAGE);
        let (page, next) = source.page(&query).await?;
        rows.extend(page);
        match next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    if rows.is_empty() {
        output.line("no transfers");
    }
    for transfer in rows.iter().rev() {
        if output.is_json() {
            output.json_line(&to_json(transfer));
        } else {
            output.line(&row(transfer));
        }
    }
    Ok(Exit::Done)
}

/// Where rows come from.
enum Source {
    Owner(Client),
    Store(SqliteReader),
    Nothing,
}

impl Source {
    async fn open(dir: &Path) -> Result<Self, Error> {
        if let Ok((owner, _)) = Client::connect(dir).await {
            return Ok(Self::Owner(owner));
        }
        Ok(match dir.join("towline.db").exists() {
            true => Self::Store(SqliteReader::open(dir)?),
            false => Self::Nothing,
        })
    }

    async fn page(&self, query: &Query) -> Result<(Vec<Transfer>, Option<TransferId>), Error> {
        match self {
            Self::Owner(client) => {
                let states: Vec<&str> = query.states.iter().map(|state| state.as_str()).collect();
                let find = Find {
                    direction: query.direction,
                    state: Some(states.join(",")),
                    after: query.after,
                    newest_first: query.newest_first,
                    limit: Some(query.limit),
                    ..Find::default()
                };
                let found = client.find(&find).await?;
                let rows = found.transfers.into_iter().map(Transfer::from);
                Ok((rows.collect(), found.next))
            }
            Self::Store(reader) => {
                let page = reader.find(query.clone()).await?;
                let rows = page.transfers.into_iter().map(Transfer::at_rest);
                let wanted =
                    |t: &Transfer| query.states.is_empty() || query.states.contains(&t.state);
                Ok((rows.filter(wanted).collect(), page.next))
            }
            Self::Nothing => Ok((Vec::new(), None)),
        }
    }
}

pub(crate) fn row(transfer: &Transfer) -> String {
    let total = transfer
        .bytes_total
        .map_or("?".into(), |n| indicatif::BinaryBytes(n).to_string());
    let percent = match transfer.bytes_total {
        Some(0) | None => 0,
        Some(total) => transfer.bytes_transferred.saturating_mul(100) / total,
    };
    format!(
        "{:>5}  {:<8}  {:<24}  {percent:>3}% of {total:>10}  s3://{}/{}  {}",
        transfer.id.get(),
        transfer.direction.as_str(),
        state_text(transfer.state, transfer.reason),
        transfer.bucket,
        transfer.key,
        transfer.path.display(),
    )
}
