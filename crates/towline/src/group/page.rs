//! A step of a listing becomes transfers, which are recorded together with where
//! the listing goes on.

use towline_core::{
    Direction, GroupPage, GroupRecord, ListedObject, NewTransfer, NotListed, Priority, Query,
    Record, Spec, TransferId,
};

use super::entries::{Entry, Step};
use super::{ListingRequest, Place};
use crate::again::{self, Again, Looked};
use crate::prefix::has_done;
use crate::request::Settled;
use crate::sync::blocking;
use crate::{Error, SubmitError, TransferRequest, TransferUtility, check_options, submit};

/// How a step is recorded.
pub(super) struct Recording<'a> {
    pub(super) utility: &'a TransferUtility,
    pub(super) group: &'a GroupRecord,
    pub(super) asked: &'a ListingRequest,
    /// It is the first one from the start.
    pub(super) from_start: bool,
    /// Some of it may have been recorded before.
    pub(super) again: bool,
}

/// What an entry turned out to be.
enum Verdict {
    New(Box<NewTransfer>),
    /// It is in this group already.
    There,
    /// An earlier group of this name left it.
    Adopted(Again),
    /// Something else does it.
    UnderWay(Again),
    Without(NotListed),
}

impl Recording<'_> {
    /// False where the group is not open any more; then nothing was recorded.
    pub(super) async fn record(self, step: Step) -> Result<bool, Error> {
        self.have_key()?;
        let mut settled = self.settle(step.entries).await?;
        let _one_at_a_time = self.utility.one_submit_at_a_time().await;
        let mut page = GroupPage {
            from_start: self.from_start,
            entries: step.found,
            same: step.same,
            position: step.place.as_ref().map(Place::write).transpose()?,
            last: step.last,
            at: submit::now(),
            ..GroupPage::default()
        };
        let priority = self.priority_now().await?;
        for settled in settled.iter_mut().filter_map(Checked::settled) {
            settled.spec.options.priority = priority;
        }
        let mut known = Vec::new();
        let specs: Vec<&Spec> = settled.iter().filter_map(Checked::spec).collect();
        let looked = again::look_at_each(self.utility.store(), &specs).await?;
        let mut looked = looked.into_iter();
        for entry in settled {
            let (request, bytes, listed, settled) = match entry {
                Checked::Without(without) => {
                    page.not_listed.push(without);
                    continue;
                }
                Checked::Wanted {
                    request,
                    bytes,
                    listed,
                    settled,
                } => (request, bytes, listed, settled),
            };
            let looked = looked.next().expect("each of them was looked for");
            match self
                .judge(&request, listed.as_ref(), *settled, looked)
                .await?
            {
                Verdict::New(new) => page.new.push(*new),
                Verdict::There => {}
                Verdict::Adopted(again) => {
                    page.adopted.push(again.id());
                    page.resumes |= matches!(again, Again::Resume(_));
                    known.push(again);
                }
                Verdict::UnderWay(again) => {
                    page.not_listed.push(under_way(&request, again.id()));
                    known.push(again);
                    continue;
                }
                Verdict::Without(without) => {
                    page.not_listed.push(without);
                    continue;
                }
            }
            page.bytes += bytes;
        }
        let store = self.utility.store();
        let Some(created) = store.record_page(self.group.id, page).await? else {
            return Ok(false);
        };
        for created in &created {
            self.hand_on(created.record().id);
        }
        self.utility.engine().begin(&created)?;
        // Not before: the group might have been paused or canceled meanwhile.
        for again in known {
            self.hand_on(again.id());
            self.utility.go_on(again, None).await?;
        }
        Ok(true)
    }

    /// It may have changed since the listing began.
    async fn priority_now(&self) -> Result<Priority, Error> {
        let group = self.utility.group_record(self.group.id).await?;
        let asked = ListingRequest::read(&group.request)?;
        Ok(asked.like.options.priority)
    }

    /// A key that is not there now may be later: no reason to refuse anything.
    fn have_key(&self) -> Result<(), SubmitError> {
        let key = self.asked.like.options.access.customer_key.as_ref();
        match key.and_then(|key| self.utility.lacks_key(key)) {
            Some(why) => Err(check_options::bad("customer key", why)),
            None => Ok(()),
        }
    }

    /// What was handed over for the group is for its transfers too.
    fn hand_on(&self, id: TransferId) {
        self.utility.connector().hand_on(self.group.id, id);
    }

    /// Looks at the files of all of them.
    async fn settle(&self, entries: Vec<Entry>) -> Result<Vec<Checked>, Error> {
        let utility = self.utility.clone();
        let settle = move || {
            let entries = entries.into_iter().map(|entry| match entry {
                Entry::Without(without) => Checked::Without(without),
                Entry::Wanted {
                    request,
                    bytes,
                    listed,
                } => match request.settle(&utility, true) {
                    Ok(settled) => Checked::Wanted {
                        request,
                        bytes,
                        listed,
                        settled: Box::new(settled),
                    },
                    Err(error) => Checked::Without(refused(&request, &error)),
                },
            });
            entries.collect()
        };
        blocking(self.utility, settle).await
    }

    async fn judge(
        &self,
        request: &TransferRequest,
        listed: Option<&ListedObject>,
        settled: Settled,
        looked: Looked,
    ) -> Result<Verdict, Error> {
        // A sync compares: what it has done and still differs is done again.
        if self.again && self.asked.sync.is_none() && self.is_there(request).await? {
            return Ok(Verdict::There);
        }
        if self.asked.spares && self.was_done(request, listed).await? {
            return Ok(Verdict::Without(skipped(
                request,
                "AlreadyThere",
                "an earlier group of this name has downloaded it".into(),
            )));
        }
        let again = match looked {
            Ok(None) => return Ok(Verdict::New(Box::new(settled.into_new()))),
            Ok(Some(again)) => again,
            Err(SubmitError::OptionsDiffer { id, .. }) if settled.restart => Again::Attach(id),
            // Its file had another time then.
            Err(SubmitError::OptionsDiffer { id, .. })
                if self.asked.sync.is_some() && self.is_of_this_name(id).await? =>
            {
                self.utility.give_up(id).await?;
                return Ok(Verdict::New(Box::new(settled.into_new())));
            }
            Err(error) => return Ok(Verdict::Without(refused(request, &error))),
        };
        if settled.restart {
            self.utility.give_up(again.id()).await?;
            return Ok(Verdict::New(Box::new(settled.into_new())));
        }
        match self.is_of_this_name(again.id()).await? {
            true => Ok(Verdict::Adopted(again)),
            false => Ok(Verdict::UnderWay(again)),
        }
    }

    async fn is_of_this_name(&self, id: TransferId) -> Result<bool, Error> {
        let record = self.utility.store().get(id).await?;
        let group = record.and_then(|record| record.spec.group.clone());
        Ok(group.as_deref() == Some(self.asked.name()))
    }

    /// Whether this group has a transfer for it.
    async fn is_there(&self, request: &TransferRequest) -> Result<bool, Error> {
        let query = Query {
            group_id: Some(self.group.id),
            ..of(request)
        };
        Ok(!self.utility.store().find(query).await?.transfers.is_empty())
    }

    /// Whether an earlier group of this name has downloaded it, and its file is as
    /// it was left.
    async fn was_done(
        &self,
        request: &TransferRequest,
        listed: Option<&ListedObject>,
    ) -> Result<bool, Error> {
        let found = self.utility.store().find(of(request)).await?;
        let last: Option<&Record> = found.transfers.first();
        Ok(last
            .zip(listed)
            .is_some_and(|(record, object)| has_done(record, request, object)))
    }
}

/// An entry whose file was looked at.
enum Checked {
    Wanted {
        request: Box<TransferRequest>,
        bytes: u64,
        listed: Option<ListedObject>,
        settled: Box<Settled>,
    },
    Without(NotListed),
}

impl Checked {
    fn settled(&mut self) -> Option<&mut Settled> {
        match self {
            Self::Wanted { settled, .. } => Some(settled),
            Self::Without(_) => None,
        }
    }

    fn spec(&self) -> Option<&Spec> {
        match self {
            Self::Wanted { settled, .. } => Some(&settled.spec),
            Self::Without(_) => None,
        }
    }
}

/// The newest transfer that writes the same.
fn of(request: &TransferRequest) -> Query {
    let query = Query {
        direction: Some(request.direction),
        newest_first: true,
        limit: 1,
        ..Query::default()
    };
    match request.direction {
        Direction::Upload | Direction::Copy => Query {
            bucket: Some(request.bucket.clone()),
            key: Some(request.key.clone()),
            ..query
        },
        Direction::Download => Query {
            path: Some(request.path.clone()),
            ..query
        },
    }
}

fn refused(request: &TransferRequest, error: &SubmitError) -> NotListed {
    NotListed {
        skipped: false,
        ..skipped(request, error.code(), error.to_string())
    }
}

/// How it ends is not this group's to tell, so it is not counted as done.
fn under_way(request: &TransferRequest, id: TransferId) -> NotListed {
    let why = format!("transfer {id}, which is not of this group, does the same");
    NotListed {
        skipped: false,
        ..skipped(request, "UnderWay", why)
    }
}

fn skipped(request: &TransferRequest, code: &str, why: String) -> NotListed {
    NotListed {
        skipped: true,
        key: Some(request.key.clone()),
        path: Some(request.path.clone()),
        code: code.into(),
        why,
    }
}
