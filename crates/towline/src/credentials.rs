//! Credentials as apps have them: given, and given anew, while transfers run.

use std::sync::Arc;

use towline_core::{
    ConnectionSource, KeyReference, ParkReason, Query, Reason, Spec, State, TransferId,
};
use towline_s3::{Credentials, CredentialsProvider, CustomerKey, StaticCredentials};

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
        let source = ConnectionSource::Registered(name);
        self.go_on_where(|spec| spec.connection.source == source)
            .await
    }

    /// Gives a key for SSE-C a name, for [`KeyReference::Registered`], in place of
    /// the one it had. It stays in memory only. The transfers that wait for a key
    /// of that name go on at once; gives those.
    pub async fn register_customer_key(
        &self,
        name: impl Into<String>,
        key: CustomerKey,
    ) -> Result<Vec<TransferId>, Error> {
        let name = name.into();
        self.connector().register_key(name.clone(), key);
        let reference = Some(KeyReference::Registered(name));
        self.go_on_where(|spec| spec.options.access.customer_key == reference)
            .await
    }

    /// Goes on with the transfers that wait for credentials or a key, of those
    /// that are meant.
    async fn go_on_where(&self, meant: impl Fn(&Spec) -> bool) -> Result<Vec<TransferId>, Error> {
        let waiting = self.waiting(meant).await?;
        self.carry(waiting.clone())?;
        Ok(waiting)
    }

    async fn waiting(&self, meant: impl Fn(&Spec) -> bool) -> Result<Vec<TransferId>, Error> {
        let mut query = Query {
            states: vec![State::Waiting],
            limit: 1000,
            ..Query::default()
        };
        let mut waiting = Vec::new();
        loop {
            let page = self.store().find(query.clone()).await?;
            let concerned = page.transfers.into_iter();
            let concerned = concerned.filter(|record| meant(&record.spec));
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
