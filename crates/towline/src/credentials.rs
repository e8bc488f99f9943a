//! Credentials as apps have them: given, and given anew, while transfers run.

use std::sync::Arc;

use towline_core::{ConnectionSource, ParkReason, Query, Reason, State, TransferId};
use towline_s3::{Credentials, CredentialsProvider, StaticCredentials};

use crate::{Error, TransferUtility};

impl TransferUtility {
    /// Gives new keys under a name, for connections with the source
    /// [`Registered`](ConnectionSource::Registered) with it, in place of what
    /// was registered there. They stay in memory only. See
    /// [`register_credentials`](Self::register_credentials).
    pub async fn set_credentials(
        &self,
        name: impl Into<String>,
        credentials: Credentials,
    ) -> Result<Vec<TransferId>, Error> {
        let provider = StaticCredentials(credentials);
        self.register_credentials(name, provider).await
    }

    /// Registers who gives credentials under a name, in place of what was there.
    /// Requests ask it from now on, and transfers that wait for credentials of
    /// that name go on at once; gives those.
    pub async fn register_credentials(
        &self,
        name: impl Into<String>,
        provider: impl CredentialsProvider,
    ) -> Result<Vec<TransferId>, Error> {
        let name = name.into();
        self.connector().register(name.clone(), Arc::new(provider));
        let waiting = self.waiting_for(ConnectionSource::Registered(name)).await?;
        self.carry(waiting.clone())?;
        Ok(waiting)
    }

    /// The transfers that wait for credentials of this source.
    async fn waiting_for(&self, source: ConnectionSource) -> Result<Vec<TransferId>, Error> {
        let mut query = Query {
            states: vec![State::Waiting],
            limit: 1000,
            ..Query::default()
        };
        let mut waiting = Vec::new();
        loop {
            let page = self.store().find(query.clone()).await?;
            let concerned = page.transfers.into_iter();
            let concerned = concerned.filter(|record| record.spec.connection.source == source);
            let now = self.engine().look(concerned.collect()).await?;
            let parked = Some(Reason::Parked(ParkReason::Credentials));
            let parked = now.iter().filter(|now| now.status.reason == parked);
            waiting.extend(parked.map(|now| now.record.id));
            query.after = page.next;
            if query.after.is_none() {
                return Ok(waiting);
            }
        }
    }
}
