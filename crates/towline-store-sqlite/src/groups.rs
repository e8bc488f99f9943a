//! Groups that list their own transfers. Their names are rows of `groups`, as are
//! those of groups that are only a name; all else is in `listings`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rusqlite::types::Value;
use rusqlite::{Connection as Db, OptionalExtension, Row, params, params_from_iter};
use towline_core::{
    Created, FoundCounts, GroupChange, GroupId, GroupPage, GroupQuery, GroupRecord, GroupSums,
    ListingPhase, NOT_LISTED_KEPT, NewGroup, NotListed, Phase, StoreError, Timestamp, TransferId,
};

use crate::codes;
use crate::reader::{Session, row_count};
use crate::rows::{self, damaged, length, unknown};
use crate::trouble::Trouble;
use crate::writer::Writer;

/// What a page holds when its query does not say.
const PAGE: usize = 100;

/// A query for whole groups, to be read with [`read`].
macro_rules! select_groups {
    ($rest:literal) => {
        select_groups!($rest, "same")
    };
    ($rest:literal, $same:literal) => {
        concat!(
            "SELECT l.group_id, g.name, request, created_at, updated_at, phase, paused, steering,
             position, entries, skipped, refused, bytes, error, ended_at, all_well, changed, ",
            $same,
            "
             FROM listings l JOIN groups g ON g.id = l.group_id ",
            $rest
        )
    };
}

/// The row id of a group; one that is too large for a row stands for none.
pub(crate) fn row_id(id: GroupId) -> i64 {
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

fn group_id(id: i64) -> Result<GroupId, Trouble> {
    let number = u64::try_from(id).ok().filter(|number| *number > 0);
    number.map(GroupId::new).ok_or_else(|| unknown("group id"))
}

fn read(row: &Row<'_>) -> Result<GroupRecord, Trouble> {
    Ok(GroupRecord {
        id: group_id(row.get(0)?)?,
        name: row.get(1)?,
        request: row.get(2)?,
        created_at: Timestamp::from_millis(row.get(3)?),
        updated_at: Timestamp::from_millis(row.get(4)?),
        listing: codes::listing_of(row.get(5)?).ok_or_else(|| unknown("listing"))?,
        paused: row.get(6)?,
        steering: row.get(7)?,
        position: row.get(8)?,
        found: FoundCounts {
            entries: length(row.get(9)?)?,
            skipped: length(row.get(10)?)?,
            refused: length(row.get(11)?)?,
            same: length(row.get(17)?)?,
            bytes: length(row.get(12)?)?,
        },
        error: rows::optional_json(row, 13)?,
        ended_at: row.get::<_, Option<i64>>(14)?.map(Timestamp::from_millis),
        all_well: row.get(15)?,
    })
}

fn find(db: &Db, id: GroupId) -> Result<GroupRecord, Trouble> {
    let mut statement = db.prepare_cached(select_groups!("WHERE l.group_id = ?1"))?;
    let mut found = statement.query([row_id(id)])?;
    match found.next()? {
        Some(row) => read(row),
        None => Err(Trouble::Refused(StoreError::UnknownGroup(id))),
    }
}

impl Writer {
    pub(crate) fn create_group(&mut self, new: NewGroup) -> Result<GroupRecord, Trouble> {
        let taken: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT id FROM groups JOIN listings ON group_id = id
                 WHERE name = ?1 AND ended_at IS NULL",
            )?
            .query_row([&new.name], |row| row.get(0))
            .optional()?;
        if let Some(taken) = taken {
            let id = group_id(taken)?;
            return Err(Trouble::Refused(StoreError::GroupTaken { id }));
        }
        let id = self
            .db
            .prepare_cached("INSERT INTO groups (name) VALUES (?1)")?
            .insert([&new.name])?;
        let group = GroupRecord::new(group_id(id)?, new);
        self.sequence += 1;
        self.db
            .prepare_cached(
                "INSERT INTO listings VALUES
                     (?1, ?2, ?3, ?3, ?4, 0, 0, NULL, 0, 0, 0, 0, NULL, NULL, 0, ?5, 0)",
            )?
            .execute(params![
                id,
                group.request,
                group.created_at.as_millis(),
                codes::listing(ListingPhase::Listing),
                self.sequence,
            ])?;
        Ok(group)
    }

    pub(crate) fn record_page(
        &mut self,
        id: GroupId,
        page: GroupPage,
    ) -> Result<Option<Vec<Created>>, Trouble> {
        let mut group = find(&self.db, id)?;
        if !group.is_open() {
            return Ok(None);
        }
        let row = row_id(id);
        if page.from_start {
            let forget = "DELETE FROM not_listed WHERE group_id = ?1";
            self.db.prepare_cached(forget)?.execute([row])?;
            group.found = FoundCounts::default();
        }
        self.keep_not_listed(row, &group.found, &page.not_listed)?;
        let told = page.last || group.error.is_some();
        group.turn(&page);
        self.write_group(&group, told)?;
        self.adopt(row, &group.name, &page.adopted)?;
        let new = page.new.into_iter();
        let created: Result<Vec<_>, _> = new.map(|new| self.create_one(new, Some(row))).collect();
        Ok(Some(created?))
    }

    fn keep_not_listed(
        &self,
        group: i64,
        before: &FoundCounts,
        not_listed: &[NotListed],
    ) -> Result<(), Trouble> {
        let mut counts = [before.refused, before.skipped];
        let keep = "INSERT INTO not_listed VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let mut statement = self.db.prepare_cached(keep)?;
        for it in not_listed {
            let count = &mut counts[usize::from(it.skipped)];
            *count += 1;
            if *count <= NOT_LISTED_KEPT {
                statement.execute(params![
                    group,
                    it.skipped,
                    rows::stored_length(*count)?,
                    it.key,
                    it.path.as_ref().map(|path| path.as_os_str().as_bytes()),
                    it.code,
                    it.why,
                ])?;
            }
        }
        Ok(())
    }

    /// Takes transfers over from earlier groups of the same name; others stay.
    fn adopt(&mut self, group: i64, name: &str, ids: &[TransferId]) -> Result<(), Trouble> {
        for id in ids {
            let row = rows::row_id(*id);
            let before: Option<i64> = self
                .db
                .prepare_cached(
                    "SELECT g.id FROM transfers t JOIN groups g ON g.id = t.group_id
                     WHERE t.id = ?1 AND g.name = ?2 AND g.id <> ?3",
                )?
                .query_row(params![row, name, group], |found| found.get(0))
                .optional()?;
            let Some(before) = before else { continue };
            self.db
                .prepare_cached("UPDATE transfers SET group_id = ?2 WHERE id = ?1")?
                .execute([row, group])?;
            rows::sweep_group(&self.db, before)?;
        }
        Ok(())
    }

    pub(crate) fn change_group(
        &mut self,
        id: GroupId,
        change: &GroupChange,
        at: Timestamp,
    ) -> Result<GroupRecord, Trouble> {
        let mut group = find(&self.db, id)?;
        let before = group.clone();
        group.apply(change, at);
        if group != before {
            let told = !matches!(change, GroupChange::Steered { .. });
            self.write_group(&group, told)?;
        }
        Ok(group)
    }

    /// Writes what changes; `told` to those that follow changes.
    fn write_group(&mut self, group: &GroupRecord, told: bool) -> Result<(), Trouble> {
        self.sequence += i64::from(told);
        let found = &group.found;
        self.db
            .prepare_cached(
                "UPDATE listings SET updated_at = ?2, phase = ?3, paused = ?4, steering = ?5,
                     position = ?6, entries = ?7, skipped = ?8, refused = ?9, bytes = ?10,
                     error = ?11, ended_at = ?12, all_well = ?13,
                     changed = iif(?14, ?15, changed), request = ?16, same = ?17
                 WHERE group_id = ?1",
            )?
            .execute(params![
                row_id(group.id),
                group.updated_at.as_millis(),
                codes::listing(group.listing),
                group.paused,
                group.steering,
                group.position,
                rows::stored_length(found.entries)?,
                rows::stored_length(found.skipped)?,
                rows::stored_length(found.refused)?,
                rows::stored_length(found.bytes)?,
                group.error.as_ref().map(rows::to_json).transpose()?,
                group.ended_at.map(Timestamp::as_millis),
                group.all_well,
                told,
                self.sequence,
                group.request,
                rows::stored_length(found.same)?,
            ])?;
        Ok(())
    }

    pub(crate) fn remove_group(&mut self, id: GroupId) -> Result<bool, Trouble> {
        let removed = self
            .db
            .prepare_cached(
                "DELETE FROM groups WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM transfers WHERE group_id = ?1)
                 AND EXISTS (SELECT 1 FROM listings
                             WHERE group_id = ?1 AND ended_at IS NOT NULL)",
            )?
            .execute([row_id(id)])?;
        Ok(removed == 1)
    }
}

impl Session {
    /// See [`Store::groups`](towline_core::Store::groups).
    pub(crate) fn groups(&mut self, query: &GroupQuery) -> Result<Vec<GroupRecord>, Trouble> {
        // A store that is only read may be of an older schema.
        let schema: i32 = self
            .db
            .pragma_query_value(None, "user_version", |row| row.get(0))?;
        let select = match schema {
            ..3 => return Ok(Vec::new()),
            3 => select_groups!("", "0"),
            4.. => select_groups!(""),
        };
        let mut conditions = vec!["1"];
        let mut values: Vec<Value> = Vec::new();
        if let Some(id) = query.id {
            conditions.push("l.group_id = ?");
            values.push(row_id(id).into());
        }
        if let Some(name) = &query.name {
            conditions.push("g.name = ?");
            values.push(name.clone().into());
        }
        if query.unended {
            conditions.push("ended_at IS NULL");
        }
        if let Some(after) = query.after {
            conditions.push(match query.newest_first {
                true => "l.group_id < ?",
                false => "l.group_id > ?",
            });
            values.push(row_id(after).into());
        }
        let limit = if query.limit == 0 { PAGE } else { query.limit };
        values.push(row_count(limit).into());
        let sql = format!(
            "{select} WHERE {} ORDER BY l.group_id {} LIMIT ?",
            conditions.join(" AND "),
            if query.newest_first { "DESC" } else { "ASC" },
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(values))?;
        let mut groups = Vec::new();
        while let Some(row) = found.next()? {
            groups.push(read(row)?);
        }
        Ok(groups)
    }

    /// Those that changed behind a place, each with its own.
    pub(crate) fn changed_groups(
        &self,
        after: i64,
        limit: usize,
        only: Option<GroupId>,
    ) -> Result<Vec<(i64, GroupRecord)>, Trouble> {
        let mut statement = self.db.prepare_cached(select_groups!(
            "WHERE changed > ?1 AND (?3 IS NULL OR group_id = ?3) ORDER BY changed LIMIT ?2"
        ))?;
        let mut found = statement.query(params![after, row_count(limit), only.map(row_id)])?;
        let mut groups = Vec::new();
        while let Some(row) = found.next()? {
            groups.push((row.get("changed")?, read(row)?));
        }
        Ok(groups)
    }

    pub(crate) fn sum_group(&mut self, group: GroupId) -> Result<GroupSums, Trouble> {
        // Summed up here: to group them, SQLite would sort a copy of all.
        let mut statement = self.db.prepare_cached(
            "SELECT phase,
                    iif(phase = 100, coalesce(plan_size, source_size, bytes_done), bytes_done)
             FROM transfers INDEXED BY transfers_by_group WHERE group_id = ?1",
        )?;
        let mut found = statement.query([row_id(group)])?;
        let mut sums = GroupSums::default();
        while let Some(row) = found.next()? {
            let phase = match row.get(0)? {
                ..50 => Phase::Queued,
                code => codes::phase_of(code, 0).ok_or_else(|| unknown("phase"))?,
            };
            sums.add(phase, 1, length(row.get(1)?)?);
        }
        Ok(sums)
    }

    pub(crate) fn unfinished_of_group(
        &mut self,
        group: GroupId,
        most: usize,
    ) -> Result<usize, Trouble> {
        let mut statement = self.db.prepare_cached(
            "SELECT count(*) FROM (
                 SELECT 1 FROM transfers INDEXED BY transfers_of_group_unfinished
                 WHERE group_id = ?1 AND phase < 100 LIMIT ?2)",
        )?;
        let count: i64 =
            statement.query_row(params![row_id(group), row_count(most)], |row| row.get(0))?;
        usize::try_from(count).map_err(damaged)
    }

    pub(crate) fn not_listed(
        &mut self,
        group: GroupId,
        skipped: bool,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NotListed>, Trouble> {
        let mut statement = self.db.prepare_cached(
            "SELECT key, path, code, why FROM not_listed
             WHERE group_id = ?1 AND skipped = ?2 AND n > ?3 ORDER BY n LIMIT ?4",
        )?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut found =
            statement.query(params![row_id(group), skipped, after, row_count(limit)])?;
        let mut all = Vec::new();
        while let Some(row) = found.next()? {
            let path: Option<Vec<u8>> = row.get(1)?;
            all.push(NotListed {
                skipped,
                key: row.get(0)?,
                path: path.map(|path| OsString::from_vec(path).into()),
                code: row.get(2)?,
                why: row.get(3)?,
            });
        }
        Ok(all)
    }
}
