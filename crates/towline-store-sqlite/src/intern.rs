//! Values that many transfers share, kept once: buckets, directories,
//! connections and options. Each row counts its transfers and goes with the
//! last one.

use std::hash::Hash;

use hashbrown::HashMap;
use rusqlite::{Connection as Db, OptionalExtension, ToSql};
use towline_core::{Connection, TransferOptions};

use crate::rows;
use crate::trouble::Trouble;

/// How many values of each kind are remembered.
const KEPT: usize = 4096;

/// The interned tables, with what the writer knows of them.
#[derive(Default)]
pub(crate) struct Interner {
    buckets: Known<String>,
    directories: Known<Vec<u8>>,
    connections: Known<Connection>,
    options: Known<TransferOptions>,
}

/// The interned values that a transfer refers to.
pub(crate) struct References {
    pub(crate) bucket: i64,
    pub(crate) directory: i64,
    pub(crate) connection: i64,
    pub(crate) options: i64,
}

struct Known<T> {
    ids: HashMap<T, i64>,
    /// Uses to be added to the rows.
    uses: HashMap<i64, i64>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            ids: HashMap::new(),
            uses: HashMap::new(),
        }
    }
}

/// The statements of one interned table.
struct Table {
    find: &'static str,
    insert: &'static str,
    count: &'static str,
    sweep: &'static str,
}

macro_rules! table {
    ($name:literal) => {
        Table {
            find: concat!("SELECT id FROM ", $name, " WHERE value = ?1"),
            insert: concat!("INSERT INTO ", $name, " (value, uses) VALUES (?1, 0)"),
            count: concat!("UPDATE ", $name, " SET uses = uses + ?2 WHERE id = ?1"),
            sweep: concat!("DELETE FROM ", $name, " WHERE id = ?1 AND uses <= 0"),
        }
    };
}

const BUCKETS: Table = table!("buckets");
const DIRECTORIES: Table = table!("directories");
const CONNECTIONS: Table = table!("connections");
const OPTIONS: Table = table!("options");

impl Interner {
    /// Counts one use more of each value, recording those that are new.
    pub(crate) fn take(
        &mut self,
        db: &Db,
        bucket: &str,
        directory: &[u8],
        connection: &Connection,
        options: &TransferOptions,
    ) -> Result<References, Trouble> {
        Ok(References {
            bucket: self.buckets.take(db, &BUCKETS, bucket, || Ok(bucket))?,
            directory: self
                .directories
                .take(db, &DIRECTORIES, directory, || Ok(directory))?,
            connection: self
                .connections
                .take(db, &CONNECTIONS, connection, || rows::to_json(connection))?,
            options: self.take_options(db, options)?,
        })
    }

    pub(crate) fn take_options(
        &mut self,
        db: &Db,
        options: &TransferOptions,
    ) -> Result<i64, Trouble> {
        self.options
            .take(db, &OPTIONS, options, || rows::to_json(options))
    }

    pub(crate) fn give_back_options(&mut self, options: i64) {
        *self.options.uses.entry(options).or_default() -= 1;
    }

    /// Counts one use less of each.
    pub(crate) fn give_back(&mut self, references: &References) {
        *self.buckets.uses.entry(references.bucket).or_default() -= 1;
        *self
            .directories
            .uses
            .entry(references.directory)
            .or_default() -= 1;
        *self
            .connections
            .uses
            .entry(references.connection)
            .or_default() -= 1;
        self.give_back_options(references.options);
    }

    /// Writes the uses that were counted.
    pub(crate) fn count_uses(&mut self, db: &Db) -> Result<(), Trouble> {
        self.buckets.count_uses(db, &BUCKETS)?;
        self.directories.count_uses(db, &DIRECTORIES)?;
        self.connections.count_uses(db, &CONNECTIONS)?;
        self.options.count_uses(db, &OPTIONS)
    }

    /// Forgets everything, since what it was learned from was rolled back.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl<T: Eq + Hash> Known<T> {
    fn take<Q, V>(
        &mut self,
        db: &Db,
        table: &Table,
        value: &Q,
        stored: impl FnOnce() -> Result<V, Trouble>,
    ) -> Result<i64, Trouble>
    where
        T: std::borrow::Borrow<Q>,
        Q: ToOwned<Owned = T> + Eq + Hash + ?Sized,
        V: ToSql,
    {
        let id = match self.ids.get(value) {
            Some(id) => *id,
            None => {
                let id = find_or_insert(db, table, &stored()?)?;
                if self.ids.len() >= KEPT {
                    self.ids.clear();
                }
                self.ids.insert(value.to_owned(), id);
                id
            }
        };
        *self.uses.entry(id).or_default() += 1;
        Ok(id)
    }

    fn count_uses(&mut self, db: &Db, table: &Table) -> Result<(), Trouble> {
        let mut fewer = false;
        for (id, uses) in self.uses.drain() {
            db.prepare_cached(table.count)?.execute([id, uses])?;
            if uses < 0 {
                fewer = true;
                db.prepare_cached(table.sweep)?.execute([id])?;
            }
        }
        if fewer {
            self.ids.clear();
        }
        Ok(())
    }
}

fn find_or_insert(db: &Db, table: &Table, value: &impl ToSql) -> Result<i64, Trouble> {
    let found = db
        .prepare_cached(table.find)?
        .query_row([value], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    Ok(db.prepare_cached(table.insert)?.insert([value])?)
}
