//! What became of a sync's group, for its report.

use towline::{Group, Query, SqliteReader, State, SyncLeftOut, Transfer};

use super::run::Run;
use crate::attach::Tally;
use crate::error::Error;
use crate::output::Output;

/// So many are read at a time.
const PAGE: usize = 1000;

impl Run<'_> {
    /// Counts a group, and tells what was left out.
    pub(super) async fn count(
        &mut self,
        group: &Group,
        tally: &mut Tally,
        output: &mut Output,
    ) -> Result<(), Error> {
        let reader = SqliteReader::open(&self.dir)?;
        let sums = &group.transfers;
        self.report.same = group.found.same;
        self.report.submitted = sums.going + sums.paused + sums.completed;
        self.report.submitted += sums.failed + sums.canceled;
        tally.done = sums.completed;
        tally.bytes = sums.bytes_done;
        count_failed(&reader, group, tally).await?;
        for (skipped, all) in [(true, group.found.skipped), (false, group.found.refused)] {
            let mut said = 0;
            while said < all {
                let page = reader.not_listed(group.id, skipped, said, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                said += page.len() as u64;
                for left_out in page {
                    let left_out = SyncLeftOut::of_group(left_out);
                    self.report.leave_out(self.ends.bucket(), &left_out, output);
                }
            }
            // Where things are deleted, the plan told all.
            if said < all && !self.args.delete {
                self.report.leave_out_more(all - said, output);
            }
        }
        Ok(())
    }
}

/// Counts what was not done by its reason; its bytes are no bytes of what is done.
async fn count_failed(
    reader: &SqliteReader,
    group: &Group,
    tally: &mut Tally,
) -> Result<(), Error> {
    let states = vec![
        State::Waiting,
        State::InProgress,
        State::WaitingForNetwork,
        State::Paused,
        State::Failed,
        State::Canceled,
    ];
    let mut query = Query {
        group_id: Some(group.id),
        states,
        limit: PAGE,
        ..Query::default()
    };
    loop {
        let found = reader.find(query.clone()).await?;
        for record in found.transfers {
            let transfer = Transfer::at_rest(record);
            tally.bytes = tally.bytes.saturating_sub(transfer.bytes_transferred);
            tally.count(Some(&transfer));
        }
        query.after = found.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}
