//! Pause, resume, cancel and remove of a group as one.

use towline_core::{Command, GroupChange, GroupId, GroupRecord, ListingPhase, Query, StoreError};

use crate::{Error, TransferUtility, submit};

impl TransferUtility {
    /// Stops a group: nothing more is listed, and its transfers are paused. When this
    /// returns, nothing of it runs any more. False when nothing had to change.
    pub async fn pause_group(&self, id: GroupId) -> Result<bool, Error> {
        self.steer_group(id, GroupChange::Paused(true)).await
    }

    /// Goes on with a paused group: with its listing, and with its paused transfers.
    /// False when neither it nor one of them was paused.
    pub async fn resume_group(&self, id: GroupId) -> Result<bool, Error> {
        self.steer_group(id, GroupChange::Paused(false)).await
    }

    /// Stops a group for good: nothing more is listed, and its unfinished transfers
    /// are canceled. What was completed stays. It is
    /// [`Canceled`](crate::State::Canceled) once that is proven of all. False when it
    /// was canceled already, or had its end.
    pub async fn cancel_group(&self, id: GroupId) -> Result<bool, Error> {
        self.steer_group(id, GroupChange::Canceled).await
    }

    /// Forgets a group and its transfers. What is unfinished is canceled first, which
    /// takes as long as S3 takes. What was completed stays where it is.
    pub async fn remove_group(&self, id: GroupId) -> Result<(), Error> {
        loop {
            self.cancel_group(id).await?;
            self.observe_group(id).await?.finished().await?;
            let ids = self.ids_of(of(id)).await?;
            self.remove_these(&ids).await?;
            // Not if somebody revived one in between.
            if self.store().remove_group(id).await? {
                return self.tell_of_groups();
            }
        }
    }

    async fn steer_group(&self, id: GroupId, change: GroupChange) -> Result<bool, Error> {
        let before = self.group_record(id).await?;
        let canceled = before.listing == ListingPhase::Canceled;
        let needed = match change {
            _ if canceled || before.ended_at.is_some() => false,
            GroupChange::Paused(paused) if before.paused == paused => {
                // Some may have been paused by themselves.
                !paused && self.store().sum_group(id).await?.paused > 0
            }
            _ => true,
        };
        if needed {
            let store = self.store();
            store.change_group(id, change, submit::now()).await?;
        }
        // Also what another call began, or what nobody carries yet.
        if before.ended_at.is_none() {
            self.tend_group(id)?;
        }
        let mut told = self.groups_here().told();
        self.tell_of_groups()?;
        loop {
            told.mark_unchanged();
            match self.group_record(id).await {
                Ok(group) if group.steering => {}
                Ok(_) => return Ok(needed),
                Err(Error::Store(StoreError::UnknownGroup(_))) => return Ok(needed),
                Err(error) => return Err(error),
            }
            self.groups_told(&mut told).await?;
        }
    }

    /// Tells the transfers of a group what the group was told.
    pub(super) async fn tell_transfers(&self, group: &GroupRecord) -> Result<(), Error> {
        let command = match group.listing {
            ListingPhase::Canceled => Command::Cancel,
            _ if group.paused => Command::Pause,
            _ => Command::Resume,
        };
        self.steer_all(command, of(group.id)).await?;
        // Told something else meanwhile, they are yet to be told that.
        let steered = GroupChange::Steered {
            canceled: group.listing == ListingPhase::Canceled,
            paused: group.paused,
        };
        self.change_and_tell(group.id, steered).await
    }
}

fn of(id: GroupId) -> Query {
    Query {
        group_id: Some(id),
        ..Query::default()
    }
}
