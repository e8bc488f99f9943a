//! Reads, by a read-only connection, so that no read waits for a write or makes one
//! wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use towline_core::{
    Ended, Incident, Page, PartRow, Priority, Query, Record, Timestamp, TransferId,
};

use crate::codes;
use crate::priorities::Priorities;
use crate::rows::{self, Parsed, select_records};
use crate::trouble::Trouble;

/// What a page holds when its query does not say.
const PAGE: usize = 100;

/// One reading connection and what it has parsed.
pub(crate) struct Session {
    pub(crate) db: Connection,
    pub(crate) parsed: Parsed,
    priorities: Priorities,
    path: Arc<PathBuf>,
}

impl Session {
    pub(crate) fn new(db: Connection, path: Arc<PathBuf>) -> Self {
        Self {
            db,
            parsed: Parsed::default(),
            priorities: Priorities::default(),
            path,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn get(&mut self, id: TransferId) -> Result<Option<Record>, Trouble> {
        rows::record(&self.db, rows::row_id(id), &mut self.parsed)
    }

    pub(crate) fn next(&mut self, after: TransferId, limit: usize) -> Result<Vec<Record>, Trouble> {
        let mut statement = self.db.prepare_cached(select_records!(
            "INDEXED BY transfers_going WHERE phase < 50 AND t.id > ?1 ORDER BY t.id LIMIT ?2"
        ))?;
        let mut found = statement.query(params![rows::row_id(after), row_count(limit)])?;
        let mut records = Vec::new();
        while let Some(row) = found.next()? {
            records.push(rows::read_record(row, &mut self.parsed)?);
        }
        Ok(records)
    }

    /// Looks at all that go on until enough are found, and reads those alone.
    pub(crate) fn next_of(
        &mut self,
        priority: Priority,
        after: TransferId,
        limit: usize,
    ) -> Result<Vec<Record>, Trouble> {
        // One moment for the options and those that have them.
        let moment = self.db.unchecked_transaction()?;
        self.priorities.learn(&self.db)?;
        if !self.priorities.has_any(priority) {
            return Ok(Vec::new());
        }
        let mut statement = self.db.prepare_cached(
            "SELECT id, options FROM transfers INDEXED BY transfers_going
             WHERE phase < 50 AND id > ?1 ORDER BY id",
        )?;
        let mut found = statement.query([rows::row_id(after)])?;
        let mut read = rows::record_statement(&self.db)?;
        let mut records = Vec::new();
        while records.len() < limit
            && let Some(row) = found.next()?
        {
            if self.priorities.of(row.get(1)?) == priority {
                records.extend(rows::record_with(&mut read, row.get(0)?, &mut self.parsed)?);
            }
        }
        drop(moment);
        Ok(records)
    }

    /// See [`Store::ended`](towline_core::Store::ended).
    pub(crate) fn ended(&mut self, after: u64, limit: usize) -> Result<Ended, Trouble> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        // One moment for the place and what is before it.
        let moment = self.db.unchecked_transaction()?;
        let places = "SELECT count(*), max(place) FROM (SELECT state_changed AS place
             FROM transfers WHERE state_changed > ?1 ORDER BY state_changed LIMIT ?2)";
        let (seen, last): (i64, Option<i64>) = self
            .db
            .prepare_cached(places)?
            .query_row(params![after, row_count(limit)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let mut ended = Ended::default();
        let Some(last) = last else {
            return Ok(ended);
        };
        ended.next = (seen == row_count(limit)).then_some(last.cast_unsigned());
        let mut statement = self.db.prepare_cached(select_records!(
            "WHERE state_changed > ?1 AND state_changed <= ?2 AND phase >= 100
             AND NOT EXISTS (SELECT 1 FROM listings l
                             WHERE l.group_id = t.group_id AND l.ended_at IS NULL)
             ORDER BY state_changed"
        ))?;
        let place = statement.column_index("state_changed")?;
        let mut found = statement.query(params![after, last])?;
        while let Some(row) = found.next()? {
            let at: i64 = row.get(place)?;
            let record = rows::read_record(row, &mut self.parsed)?;
            ended.transfers.push((at.cast_unsigned(), record));
        }
        drop(moment);
        Ok(ended)
    }

    pub(crate) fn parts(&mut self, id: TransferId) -> Result<Vec<PartRow>, Trouble> {
        let mut statement = self.db.prepare_cached(
            "SELECT number, len, etag, algorithm, checksum FROM parts
             WHERE transfer = ?1 ORDER BY number",
        )?;
        let mut found = statement.query([rows::row_id(id)])?;
        let mut parts = Vec::new();
        while let Some(row) = found.next()? {
            parts.push(rows::read_part(row)?);
        }
        Ok(parts)
    }

    pub(crate) fn incidents(&mut self, id: TransferId) -> Result<Vec<Incident>, Trouble> {
        let mut statement = self.db.prepare_cached(
            "SELECT at, generation, part, error FROM incidents WHERE transfer = ?1 ORDER BY n",
        )?;
        let mut found = statement.query([rows::row_id(id)])?;
        let mut incidents = Vec::new();
        while let Some(row) = found.next()? {
            incidents.push(Incident {
                at: Timestamp::from_millis(row.get(0)?),
                generation: row.get(1)?,
                part: row.get(2)?,
                error: rows::from_json(&row.get::<_, String>(3)?)?,
            });
        }
        Ok(incidents)
    }

    pub(crate) fn find(&mut self, query: &Query) -> Result<Page, Trouble> {
        let limit = if query.limit == 0 { PAGE } else { query.limit };
        let end = self.looks_until(query)?;
        let (sql, values) = find_sql(query, limit, end);
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(values))?;
        let mut page = Page::default();
        while let Some(row) = found.next()? {
            if page.transfers.len() == limit {
                page.next = page.transfers.last().map(|last: &Record| last.id);
                break;
            }
            page.transfers
                .push(rows::read_record(row, &mut self.parsed)?);
        }
        if page.next.is_none()
            && let Some(end) = end
        {
            page.next = Some(rows::transfer_id(end)?);
        }
        Ok(page)
    }

    pub(crate) fn find_each(&mut self, queries: &[Query]) -> Result<Vec<Page>, Trouble> {
        self.db.prepare_cached("BEGIN")?.execute([])?;
        let pages = queries.iter().map(|query| match self.has_none(query)? {
            true => Ok(Page::default()),
            false => self.find(query),
        });
        let pages = pages.collect();
        self.db.prepare_cached("COMMIT")?.execute([])?;
        pages
    }

    /// Whether there is surely nothing that a query asks for: most objects and files
    /// were never transferred, and that is found without a statement of its own.
    fn has_none(&self, query: &Query) -> Result<bool, Trouble> {
        let some = match (&query.bucket, &query.key, &query.path) {
            (Some(bucket), Some(key), _) => self
                .db
                .prepare_cached(
                    "SELECT 1 FROM transfers WHERE key = ?2
                     AND bucket = (SELECT id FROM buckets WHERE value = ?1) LIMIT 1",
                )?
                .exists([bucket, key])?,
            (_, _, Some(path)) => {
                let (directory, file) = rows::split_path(path);
                self.db
                    .prepare_cached(
                        "SELECT 1 FROM transfers WHERE file = ?2
                         AND directory = (SELECT id FROM directories WHERE value = ?1) LIMIT 1",
                    )?
                    .exists([directory, file])?
            }
            _ => true,
        };
        Ok(!some)
    }

    /// The last transfer that a query looks at, where it is not to look at all.
    fn looks_until(&self, query: &Query) -> Result<Option<i64>, Trouble> {
        if query.look_at == 0 {
            return Ok(None);
        }
        let sql = match query.newest_first {
            true => "SELECT id FROM transfers WHERE id < ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2",
            false => "SELECT id FROM transfers WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
        };
        let after = match query.after {
            Some(after) => rows::row_id(after),
            None if query.newest_first => i64::MAX,
            None => 0,
        };
        let last = query.look_at - 1;
        let mut statement = self.db.prepare_cached(sql)?;
        let mut found = statement.query(params![after, row_count(last)])?;
        Ok(found.next()?.map(|row| row.get(0)).transpose()?)
    }
}

/// The statement of a query; it asks for one row more than the page holds.
fn find_sql(query: &Query, limit: usize, end: Option<i64>) -> (String, Vec<Value>) {
    let mut conditions: Vec<String> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut condition = |text: &str, value: Value| {
        values.push(value);
        conditions.push(text.replace('?', &format!("?{}", values.len())));
    };
    if let Some(direction) = query.direction {
        condition("t.direction = ?", codes::direction(direction).into());
    }
    match (&query.bucket, &query.key) {
        // A bucket may hold all there are, so its index is no help; they come
        // in the order of their numbers anyway.
        (Some(bucket), None) => condition(
            "+t.bucket = (SELECT id FROM buckets WHERE value = ?)",
            bucket.clone().into(),
        ),
        (Some(bucket), Some(_)) => condition(
            "t.bucket = (SELECT id FROM buckets WHERE value = ?)",
            bucket.clone().into(),
        ),
        // Names every bucket, for the index by bucket and key.
        (None, Some(_)) => conditions.push("t.bucket IN (SELECT id FROM buckets)".into()),
        (None, None) => {}
    }
    let mut condition = |text: &str, value: Value| {
        values.push(value);
        conditions.push(text.replace('?', &format!("?{}", values.len())));
    };
    if let Some(key) = &query.key {
        condition("t.key = ?", key.clone().into());
    }
    if let Some(path) = &query.path {
        let (directory, file) = rows::split_path(path);
        let in_directory = "t.directory = (SELECT id FROM directories WHERE value = ?)";
        condition(in_directory, directory.to_vec().into());
        condition("t.file = ?", file.to_vec().into());
    }
    if let Some(group) = &query.group {
        let in_group = "t.group_id = (SELECT max(id) FROM groups WHERE name = ?)";
        condition(in_group, group.clone().into());
    }
    if let Some(group) = query.group_id {
        // A group may have many, and few write one object or file.
        let in_group = match query.key.is_some() || query.path.is_some() {
            true => "+t.group_id = ?",
            false => "t.group_id = ?",
        };
        condition(in_group, crate::groups::row_id(group).into());
    }
    if let Some(search) = &query.search {
        let held = "(t.key LIKE ? ESCAPE '\\' OR CAST((SELECT value FROM directories \
             WHERE id = t.directory) || t.file AS TEXT) LIKE ? ESCAPE '\\')";
        condition(held, pattern(search).into());
    }
    if let Some(end) = end {
        let within = if query.newest_first {
            "t.id >= ?"
        } else {
            "t.id <= ?"
        };
        condition(within, end.into());
    }
    if let Some(after) = query.after {
        let after = Value::from(rows::row_id(after));
        condition(
            if query.newest_first {
                "t.id < ?"
            } else {
                "t.id > ?"
            },
            after,
        );
    }
    if !query.states.is_empty() {
        let states: Vec<_> = query
            .states
            .iter()
            .map(|s| codes::state_condition(*s))
            .collect();
        conditions.push(format!("({})", states.join(" OR ")));
    }
    let filter = if conditions.is_empty() {
        "1".into()
    } else {
        conditions.join(" AND ")
    };
    let order = if query.newest_first { "DESC" } else { "ASC" };
    values.push(row_count(limit.saturating_add(1)).into());
    let sql = format!(
        "{} WHERE {filter} ORDER BY t.id {order} LIMIT ?{}",
        select_records!(""),
        values.len()
    );
    (sql, values)
}

/// What contains a text, for LIKE.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

pub(crate) fn row_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
