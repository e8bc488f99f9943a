//! Submitting: what is asked for becomes a transfer, or turns out to be one
//! that is there already.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use towline_core::{
    BucketName, Command, Connection, Created, Direction, NewTransfer, ObjectKey, Record, Spec,
    Timestamp, TransferId,
};
use towline_s3::Credentials;

use crate::again::{self, Again};
use crate::request::Settled;
use crate::{Error, SubmitError, Transfer, TransferObserver, TransferRequest, TransferUtility};

impl TransferUtility {
    /// Submits requests. When this returns, all of them survive power loss; when
    /// one of them is no good, none is recorded. A request that is there already,
    /// unfinished, is the same transfer, and goes on if it was paused or failed.
    ///
    /// Gives the transfers' ids in the order of the requests.
    pub async fn submit(&self, requests: Vec<TransferRequest>) -> Result<Vec<TransferId>, Error> {
        let settled = self.settle(&requests, false)?;
        let records = self.submit_settled(settled, None).await?;
        Ok(records.iter().map(|record| record.id).collect())
    }

    pub(crate) async fn submit_one(
        &self,
        request: TransferRequest,
    ) -> Result<TransferObserver, Error> {
        let ids = self.submit(vec![request]).await?;
        self.observe(*ids.first().ok_or(Error::Closed)?).await
    }

    /// Fails where an unfinished transfer writes what a stream is to be written
    /// to.
    pub(crate) async fn refuse_second_writer(&self, settled: &Settled) -> Result<(), Error> {
        again::look(self.store(), &settled.spec).await?.map(drop)?;
        Ok(())
    }

    /// As [`submit`](Self::submit), for another process of the same user. The
    /// connections of its requests were
    /// [`resolve`](towline_s3::S3Connector::resolve)d there and are taken as
    /// they stand, and those of the environment are signed with the credentials
    /// that it hands over, which stay in memory only. Gives the transfers in the
    /// order of the requests.
    pub async fn submit_for(
        &self,
        requests: Vec<TransferRequest>,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Transfer>, Error> {
        let settled = self.settle(&requests, true)?;
        let records = self.submit_settled(settled, credentials).await?;
        let now = self.engine().look(records).await?;
        Ok(now.into_iter().map(Transfer::from).collect())
    }

    /// As [`submit`](Self::submit), and gives the transfers as they are.
    pub async fn submit_and_see(
        &self,
        requests: Vec<TransferRequest>,
    ) -> Result<Vec<Transfer>, Error> {
        let settled = self.settle(&requests, false)?;
        let records = self.submit_settled(settled, None).await?;
        let now = self.engine().look(records).await?;
        Ok(now.into_iter().map(Transfer::from).collect())
    }

    fn settle(
        &self,
        requests: &[TransferRequest],
        resolved: bool,
    ) -> Result<Vec<Settled>, SubmitError> {
        let settle = |request: &TransferRequest| request.settle(self, resolved);
        requests.iter().map(settle).collect()
    }

    async fn submit_settled(
        &self,
        settled: Vec<Settled>,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Record>, Error> {
        let _one_at_a_time = self.one_submit_at_a_time().await;
        let verdicts = self.judge(&settled).await?;
        let mut records: Vec<Option<Record>> = Vec::with_capacity(settled.len());
        let mut new: Vec<NewTransfer> = Vec::new();
        // Where each new one belongs among the records; the same twice is one.
        let mut places: Vec<Vec<usize>> = Vec::new();
        for (place, (settled, verdict)) in settled.into_iter().zip(verdicts).enumerate() {
            let known = match verdict {
                Verdict::Same(first) => {
                    places[first].push(place);
                    None
                }
                Verdict::Known(again) if !settled.restart => {
                    let id = self.go_on(again, credentials).await?;
                    let known = self.store().get(id).await?;
                    let priority = settled.spec.options.priority;
                    match known {
                        Some(known) if known.spec.options.priority != priority => {
                            self.prioritize(id, priority).await?;
                            self.store().get(id).await?
                        }
                        known => known,
                    }
                }
                Verdict::Known(again) => {
                    self.hand_over(again.id(), credentials);
                    self.give_up(again.id()).await?;
                    places.push(vec![place]);
                    new.push(settled.into_new());
                    None
                }
                Verdict::New => {
                    places.push(vec![place]);
                    new.push(settled.into_new());
                    None
                }
            };
            records.push(known);
        }
        let created = self.create(new, credentials).await?;
        for (created, places) in created.iter().zip(places) {
            for place in places {
                records[place] = Some(created.record().clone());
            }
        }
        Ok(records.into_iter().flatten().collect())
    }

    /// What each request is: to the store, and to those before it.
    async fn judge(&self, settled: &[Settled]) -> Result<Vec<Verdict>, Error> {
        let specs: Vec<&Spec> = settled.iter().map(|settled| &settled.spec).collect();
        let looked = again::look_at_each(self.store(), &specs).await?;
        let mut verdicts = Vec::with_capacity(settled.len());
        let mut targets: HashMap<Target<'_>, (usize, &Spec)> = HashMap::new();
        let mut new = 0;
        for (Settled { spec, restart, .. }, looked) in settled.iter().zip(looked) {
            let target = Target::of(spec);
            if let Some((number, first)) = targets.get(&target) {
                if *first != spec || !first.same_path(spec) {
                    return Err(SubmitError::clash(first, spec).into());
                }
                verdicts.push(Verdict::Same(*number));
                continue;
            }
            let verdict = match looked {
                Ok(Some(again)) => Verdict::Known(again),
                Ok(None) => Verdict::New,
                Err(SubmitError::OptionsDiffer { id, .. }) if *restart => {
                    Verdict::Known(Again::Attach(id))
                }
                Err(error) => return Err(error.into()),
            };
            if matches!(verdict, Verdict::New) || *restart {
                targets.insert(target, (new, spec));
                new += 1;
            }
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    /// Goes on with a transfer that is there already.
    pub(crate) async fn go_on(
        &self,
        again: Again,
        credentials: Option<&Credentials>,
    ) -> Result<TransferId, Error> {
        let id = again.id();
        self.hand_over(id, credentials);
        match again {
            // Takes it up if nobody carries it yet.
            Again::Attach(_) => self.carry(vec![id])?,
            Again::Resume(_) => drop(self.steer(id, Command::Resume).await?),
            Again::Retry(_) => drop(self.steer(id, Command::Retry).await?),
        }
        Ok(id)
    }

    async fn create(
        &self,
        new: Vec<NewTransfer>,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Created>, Error> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let engine = self.engine();
        let created = engine.record(new).await?;
        let mut known = Vec::new();
        for created in &created {
            self.hand_over(created.record().id, credentials);
            if let Created::Known(record) = created {
                known.push(record.id);
            }
        }
        engine.begin(&created)?;
        engine.carry(known)?;
        Ok(created)
    }
}

/// What a request turned out to be.
enum Verdict {
    /// A new transfer.
    New,
    /// The new one with this number in the same call.
    Same(usize),
    /// One that the store has.
    Known(Again),
}

impl Settled {
    pub(crate) fn into_new(self) -> NewTransfer {
        NewTransfer {
            spec: self.spec,
            source: self.source,
            created_at: now(),
        }
    }
}

/// By the wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What a transfer writes; no two unfinished ones write the same.
#[derive(PartialEq, Eq, Hash)]
enum Target<'a> {
    Object(Option<&'a str>, &'a BucketName, &'a ObjectKey),
    File(&'a PathBuf),
}

impl<'a> Target<'a> {
    fn of(spec: &'a Spec) -> Self {
        let Connection { endpoint, .. } = &spec.connection;
        match spec.direction {
            Direction::Upload | Direction::Copy => {
                Self::Object(endpoint.as_deref(), &spec.object.bucket, &spec.object.key)
            }
            Direction::Download => Self::File(&spec.path),
        }
    }
}
