//! Groups that list their own transfers: found, told of, and what they left out.

mod begin;
mod stay;
mod steer;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::json;
use towline::{Direction, Group, GroupId, GroupQuery, SqliteReader, State};
use towline_daemon::{Client, ClientError, FindGroups, FindLeftOut, LeftOutSeen};

pub(crate) use self::begin::{Asked, run};
pub(crate) use self::stay::{GroupStayed, exit_of};
pub(crate) use self::steer::steer;
use crate::error::Error;
use crate::output::{Output, one_line};
use crate::reach::Reach;

/// The most groups, or what they left out, of a page.
const PAGE: usize = 100;

/// How often a group is looked at; each of its transfers is counted then.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// So many times as long as a look took, it is not looked again.
pub(crate) const APART: u32 = 20;

/// What a person calls a group by.
#[derive(Clone, Debug)]
pub(crate) enum GroupName {
    Id(GroupId),
    Name(String),
}

impl FromStr for GroupName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.parse().map(Self::Id);
        Ok(id.unwrap_or_else(|_| Self::Name(text.to_owned())))
    }
}

impl std::fmt::Display for GroupName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Where groups are read: of their owner, or at rest.
pub(crate) enum Groups {
    /// Of the state in this directory.
    Owner(Client, PathBuf),
    Store(SqliteReader),
    Nothing,
}

impl Groups {
    pub(crate) async fn open(dir: &Path) -> Result<Self, Error> {
        Ok(match Client::connect(dir).await {
            Ok((owner, _)) => Self::Owner(owner, dir.to_owned()),
            Err(_) => Self::at_rest(dir)?,
        })
    }

    /// Of whoever a command has reached.
    pub(crate) fn of(reach: &Reach) -> Self {
        Self::Owner(reach.client.clone(), reach.dir().to_owned())
    }

    fn at_rest(dir: &Path) -> Result<Self, Error> {
        Ok(match dir.join("towline.db").exists() {
            true => Self::Store(SqliteReader::open(dir)?),
            false => Self::Nothing,
        })
    }

    /// The one that is called so; of a name the newest.
    pub(crate) async fn named(&self, name: &GroupName) -> Result<Option<Group>, Error> {
        match (self, name) {
            (Self::Owner(owner, dir), GroupName::Id(id)) => match owner.group(*id).await {
                Err(ClientError::Problem(problem)) if problem.status == 404 => Ok(None),
                // It went meanwhile, and the store has what it had.
                Err(error) if error.is_gone() => Box::pin(Self::at_rest(dir)?.named(name)).await,
                found => Ok(Some(found?)),
            },
            (_, GroupName::Id(id)) => {
                let query = GroupQuery {
                    id: Some(*id),
                    ..GroupQuery::default()
                };
                Ok(self.page(query).await?.pop())
            }
            (_, GroupName::Name(name)) => {
                let query = GroupQuery {
                    name: Some(name.clone()),
                    newest_first: true,
                    limit: 1,
                    ..GroupQuery::default()
                };
                Ok(self.page(query).await?.pop())
            }
        }
    }

    /// Up to so many, the newest first.
    pub(crate) async fn newest(&self, unended: bool, most: usize) -> Result<Vec<Group>, Error> {
        let mut groups: Vec<Group> = Vec::new();
        while groups.len() < most {
            let query = GroupQuery {
                unended,
                newest_first: true,
                after: groups.last().map(|group| group.id),
                limit: (most - groups.len()).min(PAGE),
                ..GroupQuery::default()
            };
            let page = self.page(query).await?;
            if page.is_empty() {
                break;
            }
            groups.extend(page);
        }
        Ok(groups)
    }

    async fn page(&self, query: GroupQuery) -> Result<Vec<Group>, Error> {
        match self {
            Self::Owner(owner, dir) => {
                let find = FindGroups {
                    name: query.name.clone(),
                    unended: query.unended,
                    after: query.after,
                    newest_first: query.newest_first,
                    limit: Some(query.limit),
                };
                match owner.groups(&find).await {
                    Err(error) if error.is_gone() => {
                        Box::pin(Self::at_rest(dir)?.page(query)).await
                    }
                    found => Ok(found?.groups),
                }
            }
            Self::Store(reader) => {
                let mut groups = Vec::new();
                for record in reader.groups(query).await? {
                    let sums = reader.sum_group(record.id).await?;
                    let mut group = Group::of(record, sums)?;
                    if group.state == State::InProgress {
                        group.state = State::Waiting; // nobody carries it
                    }
                    groups.push(group);
                }
                Ok(groups)
            }
            Self::Nothing => Ok(Vec::new()),
        }
    }

    /// A page of what it left out, behind the first so many.
    pub(crate) async fn left_out(
        &self,
        id: GroupId,
        skipped: bool,
        after: u64,
    ) -> Result<Vec<LeftOutSeen>, Error> {
        match self {
            Self::Owner(owner, dir) => {
                let find = FindLeftOut {
                    skipped,
                    after,
                    limit: Some(PAGE),
                };
                match owner.left_out(id, &find).await {
                    Err(error) if error.is_gone() => {
                        let at_rest = Self::at_rest(dir)?;
                        Box::pin(at_rest.left_out(id, skipped, after)).await
                    }
                    found => Ok(found?.left_out),
                }
            }
            Self::Store(reader) => {
                let page = reader.not_listed(id, skipped, after, PAGE).await?;
                Ok(page.into_iter().map(Into::into).collect())
            }
            Self::Nothing => Ok(Vec::new()),
        }
    }

    /// Says each of what it refused, and of what it skipped where that is of any
    /// interest.
    pub(crate) async fn say_left_out(
        &self,
        group: &Group,
        output: &mut Output,
    ) -> Result<(), Error> {
        let mut there = 0;
        for skipped in [true, false] {
            let (mut said, all) = match skipped {
                true => (0, group.found.skipped),
                false => (0, group.found.refused),
            };
            while said < all {
                let page = self.left_out(group.id, skipped, said).await?;
                if page.is_empty() {
                    break;
                }
                said += page.len() as u64;
                for left_out in &page {
                    match (skipped, left_out.code.as_str()) {
                        (false, _) => say_refused(group, left_out, output),
                        (true, "AlreadyThere") => there += 1,
                        (true, "IsDirectory") => {}
                        (true, _) => output.remark(&sentence_of(group, left_out)),
                    }
                }
            }
            if said < all {
                output.remark(&format!("and {} more", all - said));
            }
        }
        if there > 0 {
            output.remark(&format!("{there} files were there already"));
        }
        let refused = group.found.refused;
        let what = match group.direction {
            Direction::Upload => "files",
            Direction::Download | Direction::Copy => "objects",
        };
        if refused > 0 {
            output.error(&format!("{refused} {what} were left out"));
        }
        Ok(())
    }
}

fn say_refused(group: &Group, left_out: &LeftOutSeen, output: &mut Output) {
    if output.is_json() {
        let mut line = json!({
            "left_out": true, "bucket": group.bucket, "key": left_out.key,
            "error": { "code": left_out.code, "message": left_out.why },
        });
        if group.direction.makes_object() {
            line["path"] = json!(left_out.path);
        }
        output.json_line(&line);
    }
    output.error(&sentence_of(group, left_out));
}

fn sentence_of(group: &Group, left_out: &LeftOutSeen) -> String {
    let object = || {
        format!(
            "s3://{}/{}",
            group.bucket,
            left_out.key.as_deref().unwrap_or("?")
        )
    };
    let source = left_out.path.clone();
    let source = source.filter(|_| group.direction.makes_object());
    let what = source.unwrap_or_else(object);
    format!("left out {what}: {}", left_out.why)
}

/// `group 3  upload  in_progress  listing  12 of 40 done, 1 failed  dir to s3://b/p/`.
fn sentence(group: &Group) -> String {
    let (found, sums) = (&group.found, &group.transfers);
    let all = sums.going + sums.paused + sums.completed + sums.canceled + sums.failed;
    let mut counts = format!("{} of {all} done", sums.completed);
    for (count, what) in [
        (sums.failed, "failed"),
        (sums.canceled, "canceled"),
        (sums.paused, "paused"),
        (found.same, "the same"),
        (found.skipped, "skipped"),
        (found.refused, "left out"),
    ] {
        if count > 0 {
            counts.push_str(&format!(", {count} {what}"));
        }
    }
    let listing = match group.ended_at {
        None if group.listing == towline::ListingPhase::Listing => "listing",
        _ => "",
    };
    let why = group.error.as_ref().map(|error| error.message.as_str());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!(
        "{:>5}  {:<8}  {:<11}  {listing:<7}  {counts}  {}{why}",
        group.id.get(),
        group.direction.as_str(),
        group.state.as_str(),
        group.name,
    )
}

/// As people and programs see it.
pub(crate) fn say(group: &Group, output: &mut Output) {
    match output.is_json() {
        true => output.json_line(&to_json(group)),
        false => output.line(&one_line(&sentence(group))),
    }
}

pub(crate) fn to_json(group: &Group) -> serde_json::Value {
    serde_json::to_value(group).unwrap_or_default()
}
