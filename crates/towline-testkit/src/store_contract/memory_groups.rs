//! The groups of a store in memory.

use std::collections::BTreeMap;

use towline_core::{
    Changed, Created, GroupChange, GroupId, GroupPage, GroupQuery, GroupRecord, GroupSums,
    NOT_LISTED_KEPT, NewGroup, NotListed, Phase, StoreError, Timestamp,
};

use super::memory::Kept;

/// Groups by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    last: u64,
    all: BTreeMap<GroupId, Group>,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    /// `None`: it is only a name.
    lists: Option<Lists>,
}

#[derive(Clone, Debug)]
struct Lists {
    record: GroupRecord,
    /// When it last changed, in the order of all.
    changed: u64,
    refused: Vec<NotListed>,
    skipped: Vec<NotListed>,
}

impl Groups {
    /// The newest of a name.
    pub(super) fn newest(&self, name: &str) -> Option<GroupId> {
        let mut newest = self.all.iter().rev();
        newest
            .find(|(_, group)| group.name == name)
            .map(|(id, _)| *id)
    }

    /// The newest of a name, or a new one that is only a name.
    pub(super) fn named(&mut self, name: &str) -> GroupId {
        self.newest(name).unwrap_or_else(|| {
            self.last += 1;
            let id = GroupId::new(self.last);
            let group = Group {
                name: name.to_owned(),
                lists: None,
            };
            self.all.insert(id, group);
            id
        })
    }

    fn lists(&self) -> impl DoubleEndedIterator<Item = &Lists> {
        self.all.values().filter_map(|group| group.lists.as_ref())
    }

    fn of(&self, id: GroupId) -> Result<&Lists, StoreError> {
        let group = self.all.get(&id);
        group
            .and_then(|group| group.lists.as_ref())
            .ok_or(StoreError::UnknownGroup(id))
    }

    fn of_mut(&mut self, id: GroupId) -> Result<&mut Lists, StoreError> {
        let group = self.all.get_mut(&id);
        group
            .and_then(|group| group.lists.as_mut())
            .ok_or(StoreError::UnknownGroup(id))
    }

    /// Whether it lists its transfers and has not had its end.
    pub(super) fn is_unended(&self, id: GroupId) -> bool {
        self.of(id).is_ok_and(|it| it.record.ended_at.is_none())
    }

    pub(super) fn changed(&self) -> impl Iterator<Item = (u64, Changed)> {
        self.lists()
            .map(|it| (it.changed, Changed::Group(Box::new(it.record.clone()))))
    }

    pub(super) fn find(&self, query: &GroupQuery) -> Vec<GroupRecord> {
        let takes = |record: &&GroupRecord| {
            query.id.is_none_or(|id| record.id == id)
                && query.name.as_ref().is_none_or(|name| record.name == *name)
                && !(query.unended && record.ended_at.is_some())
                && query.after.is_none_or(|after| match query.newest_first {
                    true => record.id < after,
                    false => record.id > after,
                })
        };
        let records = self.lists().map(|lists| &lists.record).filter(takes);
        let limit = if query.limit == 0 { 100 } else { query.limit };
        match query.newest_first {
            true => records.rev().take(limit).cloned().collect(),
            false => records.take(limit).cloned().collect(),
        }
    }

    pub(super) fn not_listed(&self, id: GroupId, skipped: bool) -> &[NotListed] {
        match (self.of(id), skipped) {
            (Ok(lists), true) => &lists.skipped,
            (Ok(lists), false) => &lists.refused,
            (Err(_), _) => &[],
        }
    }
}

impl Kept {
    pub(super) fn create_group(&mut self, new: NewGroup) -> Result<GroupRecord, StoreError> {
        let is_taken = |it: &&Lists| it.record.name == new.name && it.record.ended_at.is_none();
        let taken = self.groups.lists().find(is_taken);
        if let Some(id) = taken.map(|lists| lists.record.id) {
            return Err(StoreError::GroupTaken { id });
        }
        self.groups.last += 1;
        self.last_change += 1;
        let id = GroupId::new(self.groups.last);
        let record = GroupRecord::new(id, new);
        let lists = Lists {
            record: record.clone(),
            changed: self.last_change,
            refused: Vec::new(),
            skipped: Vec::new(),
        };
        let group = Group {
            name: record.name.clone(),
            lists: Some(lists),
        };
        self.groups.all.insert(id, group);
        Ok(record)
    }

    pub(super) fn record_page(
        &mut self,
        id: GroupId,
        mut page: GroupPage,
    ) -> Result<Option<Vec<Created>>, StoreError> {
        let before = &self.groups.of(id)?.record;
        if !before.is_open() {
            return Ok(None);
        }
        let told = page.last || before.error.is_some();
        let created = self.create_all(std::mem::take(&mut page.new), Some(id))?;
        self.last_change += u64::from(told);
        let last_change = self.last_change;
        let lists = self.groups.of_mut(id)?;
        if told {
            lists.changed = last_change;
        }
        if page.from_start {
            lists.refused.clear();
            lists.skipped.clear();
        }
        for it in &page.not_listed {
            let kept = match it.skipped {
                true => &mut lists.skipped,
                false => &mut lists.refused,
            };
            if (kept.len() as u64) < NOT_LISTED_KEPT {
                kept.push(it.clone());
            }
        }
        lists.record.turn(&page);
        let name = lists.record.name.clone();
        for adopted in &page.adopted {
            let Some(kin) = self.transfers.get_mut(adopted) else {
                continue;
            };
            if kin.record.spec.group.as_ref() == Some(&name) {
                let before = kin.group.replace(id);
                self.sweep(before);
            }
        }
        Ok(Some(created))
    }

    pub(super) fn change_group(
        &mut self,
        id: GroupId,
        change: &GroupChange,
        at: Timestamp,
    ) -> Result<GroupRecord, StoreError> {
        let next = self.last_change + 1;
        let lists = self.groups.of_mut(id)?;
        let before = lists.record.clone();
        lists.record.apply(change, at);
        let told = !matches!(change, GroupChange::Steered { .. });
        let record = lists.record.clone();
        if told && record != before {
            lists.changed = next;
            self.last_change = next;
        }
        Ok(record)
    }

    pub(super) fn sum_group(&self, id: GroupId) -> GroupSums {
        let mut sums = GroupSums::default();
        let in_group = self.transfers.values().filter(|kin| kin.group == Some(id));
        for record in in_group.map(|kin| &kin.record) {
            let bytes = match record.phase {
                Phase::Completed => record.bytes_total().unwrap_or(record.bytes_done),
                _ => record.bytes_done,
            };
            sums.add(record.phase, 1, bytes);
        }
        sums
    }

    /// Removes a group that has no transfer any more, and lists none.
    pub(super) fn sweep(&mut self, id: Option<GroupId>) {
        let Some(id) = id else { return };
        let is_used = self.transfers.values().any(|kin| kin.group == Some(id));
        if !is_used && self.groups.of(id).is_err() {
            self.groups.all.remove(&id);
        }
    }

    pub(super) fn remove_group(&mut self, id: GroupId) -> bool {
        let has_ended = (self.groups.of(id)).is_ok_and(|it| it.record.ended_at.is_some());
        let is_used = self.transfers.values().any(|kin| kin.group == Some(id));
        let gone = has_ended && !is_used;
        if gone {
            self.groups.all.remove(&id);
        }
        gone
    }
}
