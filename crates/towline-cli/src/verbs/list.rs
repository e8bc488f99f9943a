//! `list`: what is recorded, as its owner sees it, or as the store has it where
//! nobody owns it.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use towline::{Query, SqliteReader, State, Transfer, TransferId};
use towline_daemon::{Client, Find};

use crate::args::{Common, List};
use crate::columns::{Layout, Pace, percent, size};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, one_line, state_text, to_json};

/// The most transfers of a page.
const PAGE: usize = 1000;
/// Between the two looks that tell how fast transfers are.
const LOOK: Duration = Duration::from_millis(400);
/// Of more transfers than this under way it is not told how fast they are.
const PACES: usize = 100;

pub(crate) async fn run(args: List, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let source = Source::open(&common.state_dir()).await?;
    let layout = layout(output);
    let query = Query {
        direction: args.kind.direction(),
        states: args.state.into_iter().map(State::from).collect(),
        bucket: args.bucket,
        key: args.key,
        newest_first: !args.all,
        ..Query::default()
    };
    let mut count = 0;
    if args.all {
        // Page by page, so that any number is shown in little memory.
        let mut query = query;
        query.limit = PAGE;
        loop {
            let (page, next) = source.page(&query).await?;
            if count == 0 && !page.is_empty() {
                header(layout.as_ref(), output);
            }
            count += page.len();
            for transfer in &page {
                say(transfer, Pace::default(), layout.as_ref(), output);
            }
            match next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    } else {
        let mut rows = source.rows(query, args.limit.saturating_add(1)).await?;
        let more = rows.len() > args.limit;
        rows.truncate(args.limit);
        count = rows.len();
        let paces = match layout {
            Some(_) => paces(&source, &mut rows).await?,
            None => HashMap::new(),
        };
        if count > 0 {
            header(layout.as_ref(), output);
        }
        for transfer in rows.iter().rev() {
            let pace = paces.get(&transfer.id).copied().unwrap_or_default();
            say(transfer, pace, layout.as_ref(), output);
        }
        if more {
            output.remark(&format!("the newest {count}; --all shows all"));
        }
    }
    if count == 0 {
        output.line("no transfers");
    }
    Ok(Exit::Done)
}

/// Columns, where a terminal shows them.
fn layout(output: &Output) -> Option<Layout> {
    let shown = std::io::stdout().is_terminal() && !output.is_json();
    let size = shown.then(crossterm::terminal::size)?;
    let width = size.map_or(80, |(width, _)| width.into());
    Some(Layout::of(if width == 0 { 80 } else { width }))
}

fn header(layout: Option<&Layout>, output: &mut Output) {
    if let Some(layout) = layout {
        output.line(&layout.header());
    }
}

fn say(transfer: &Transfer, pace: Pace, layout: Option<&Layout>, output: &mut Output) {
    match layout {
        _ if output.is_json() => output.json_line(&to_json(transfer)),
        Some(layout) => output.line(&layout.row(transfer, pace)),
        None => output.line(&row(transfer)),
    }
}

/// How fast those under way are, by a second look at them.
async fn paces(source: &Source, rows: &mut [Transfer]) -> Result<HashMap<TransferId, Pace>, Error> {
    let mut paces = HashMap::new();
    let moving = |t: &&mut Transfer| t.state == State::InProgress;
    let count = rows.iter_mut().filter(moving).count();
    if count == 0 || count > PACES || !matches!(source, Source::Owner(..)) {
        return Ok(paces);
    }
    let start = Instant::now();
    tokio::time::sleep(LOOK).await;
    let query = Query {
        states: vec![State::InProgress],
        ..Query::default()
    };
    let now = source.rows(query, PAGE).await?;
    let passed = start.elapsed().as_secs_f64();
    let now: HashMap<TransferId, Transfer> = now.into_iter().map(|t| (t.id, t)).collect();
    for row in rows.iter_mut().filter(moving) {
        let Some(now) = now.get(&row.id) else {
            continue;
        };
        let bytes = now.bytes_transferred.saturating_sub(row.bytes_transferred);
        let pace = Pace {
            bytes_per_second: Some(bytes as f64 / passed),
        };
        paces.insert(row.id, pace);
        *row = now.clone();
    }
    Ok(paces)
}

/// Where rows come from.
pub(crate) enum Source {
    /// Of the state in this directory.
    Owner(Client, PathBuf),
    Store(SqliteReader),
    Nothing,
}

impl Source {
    pub(crate) async fn open(dir: &Path) -> Result<Self, Error> {
        match Client::connect(dir).await {
            Ok((owner, _)) => Ok(Self::Owner(owner, dir.to_owned())),
            Err(_) => Self::at_rest(dir),
        }
    }

    /// As the store has it.
    fn at_rest(dir: &Path) -> Result<Self, Error> {
        Ok(match dir.join("towline.db").exists() {
            true => Self::Store(SqliteReader::open(dir)?),
            false => Self::Nothing,
        })
    }

    /// Up to so many transfers that match, in the order asked for.
    pub(crate) async fn rows(&self, mut query: Query, most: usize) -> Result<Vec<Transfer>, Error> {
        let mut rows: Vec<Transfer> = Vec::new();
        while rows.len() < most {
            query.limit = (most - rows.len()).min(PAGE);
            let (page, next) = self.page(&query).await?;
            rows.extend(page);
            match next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        Ok(rows)
    }

    async fn page(&self, query: &Query) -> Result<(Vec<Transfer>, Option<TransferId>), Error> {
        match self {
            Self::Owner(client, dir) => {
                let states: Vec<&str> = query.states.iter().map(|state| state.as_str()).collect();
                let find = Find {
                    direction: query.direction,
                    state: Some(states.join(",")),
                    bucket: query.bucket.clone(),
                    key: query.key.clone(),
                    after: query.after,
                    newest_first: query.newest_first,
                    limit: Some(query.limit),
                    ..Find::default()
                };
                let found = match client.find(&find).await {
                    // It went meanwhile, and the store has what it had.
                    Err(error) if error.is_gone() => {
                        return Box::pin(Self::at_rest(dir)?.page(query)).await;
                    }
                    found => found?,
                };
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

/// A row as wide as it has to be.
pub(crate) fn row(transfer: &Transfer) -> String {
    let text = format!(
        "{:>5}  {:<8}  {:<24}  {:>3}% of {:>10}  s3://{}/{}  {}",
        transfer.id.get(),
        transfer.direction.as_str(),
        state_text(transfer.state, transfer.reason),
        percent(transfer),
        size(transfer),
        transfer.bucket,
        transfer.key,
        transfer.path.display(),
    );
    one_line(&text)
}
