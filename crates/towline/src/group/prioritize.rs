//! Whether a group goes ahead of others, changed while it is unfinished.

use towline_core::{Command, GroupChange, GroupId, ListingPhase, Priority, Query};

use super::ListingRequest;
use crate::{Error, TransferUtility};

impl TransferUtility {
    /// Lets a group go ahead of others, or behind them, from now on: those of its
    /// transfers that are not completed, and those that it lists yet. False when it
    /// does so already, was canceled, or had its end. Durable when this returns; until
    /// then it may hold for some.
    pub async fn prioritize_group(&self, id: GroupId, priority: Priority) -> Result<bool, Error> {
        // Nothing is listed meanwhile.
        let _one_at_a_time = self.one_submit_at_a_time().await;
        let group = self.group_record(id).await?;
        let mut asked = ListingRequest::read(&group.request)?;
        let over = group.ended_at.is_some() || group.listing == ListingPhase::Canceled;
        if over || asked.like.options.priority == priority {
            return Ok(false);
        }
        let its_own = Query {
            group_id: Some(id),
            ..Query::default()
        };
        // The group last: killed before that, the same call does all of it again.
        self.steer_all(Command::Prioritize(priority), its_own)
            .await?;
        asked.like.options.priority = priority;
        let change = GroupChange::Request(asked.write()?);
        self.change_and_tell(id, change).await?;
        Ok(true)
    }
}
