//! `list`: what is recorded. Only reads, so it works beside whoever owns the store.

use towline::{Query, SqliteReader, Transfer};

use crate::args::{Common, List};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, to_json};

pub(crate) async fn run(args: List, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let dir = common.state_dir();
    if !dir.join("towline.db").exists() {
        output.line("no transfers");
        return Ok(Exit::Done);
    }
    let reader = SqliteReader::open(&dir)?;
    let mut query = Query {
        direction: args.kind.direction(),
        states: args.state.into_iter().map(towline::State::from).collect(),
        newest_first: true,
        ..Query::default()
    };
    let mut rows: Vec<Transfer> = Vec::new();
    while rows.len() < args.limit {
        query.limit = (args.limit - rows.len()).min(1000);
        let page = reader.find(query.clone()).await?;
        let found = page.transfers.into_iter().map(Transfer::at_rest);
        rows.extend(found.filter(|t| query.states.is_empty() || query.states.contains(&t.state)));
        match page.next {
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

fn row(transfer: &Transfer) -> String {
    let total = transfer
        .bytes_total
        .map_or("?".into(), |n| indicatif::BinaryBytes(n).to_string());
    let percent = match transfer.bytes_total {
        Some(0) | None => 0,
        Some(total) => transfer.bytes_transferred.saturating_mul(100) / total,
    };
    format!(
        "{:>5}  {:<8}  {:<19}  {percent:>3}% of {total:>10}  s3://{}/{}  {}",
        transfer.id.get(),
        transfer.direction.as_str(),
        transfer.state.as_str(),
        transfer.bucket,
        transfer.key,
        transfer.path.display(),
    )
}
