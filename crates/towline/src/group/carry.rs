//! Going on with a group that nobody carries, with what another process hands over
//! for it.

use towline_core::{GroupId, Query, State, TransferId};
use towline_s3::Credentials;

use crate::steer::UNFINISHED;
use crate::{Error, TransferUtility};

impl TransferUtility {
    /// Goes on with a group that nobody carries, and with its transfers, and looks
    /// again where credentials were lacking. What is handed over takes the place of
    /// what it had, see [`hand_over_to_group`](Self::hand_over_to_group). What is
    /// paused stays paused.
    pub async fn carry_group(
        &self,
        id: GroupId,
        credentials: Option<&Credentials>,
    ) -> Result<(), Error> {
        self.hand_over_to_group(id, credentials).await?;
        if self.group_record(id).await?.ended_at.is_none() {
            self.carry(self.those_of(id, UNFINISHED.to_vec()).await?)?;
            self.tend_group(id)?;
        }
        self.tell_of_groups()
    }

    /// Signs a group's listing and its transfers from now on with the credentials of
    /// the process that asks for it, where its connection is of the environment.
    /// They stay in memory only, until each has ended.
    pub async fn hand_over_to_group(
        &self,
        id: GroupId,
        credentials: Option<&Credentials>,
    ) -> Result<(), Error> {
        let unended = self.group_record(id).await?.ended_at.is_none();
        let Some(credentials) = credentials.filter(|_| unended) else {
            return Ok(());
        };
        self.connector().hand_over_to_group(id, credentials);
        let open = [&UNFINISHED[..], &[State::Paused]].concat();
        for id in self.those_of(id, open).await? {
            self.hand_over(id, Some(credentials));
        }
        // Its task takes them back, also if it had its end meanwhile.
        self.tend_group(id)
    }

    async fn those_of(&self, id: GroupId, states: Vec<State>) -> Result<Vec<TransferId>, Error> {
        let query = Query {
            group_id: Some(id),
            states,
            ..Query::default()
        };
        self.ids_of(query).await
    }
}
