//! Towline's embedded store: SQLite in a directory of its own, with one owner.
//!
//! [`SqliteStore`] owns a store and writes to it; [`SqliteReader`] reads one
//! that somebody else owns, or nobody. The directory holds `towline.db` (with
//! SQLite's `-wal` and `-shm` beside it while it is open) and `towline.lock`,
//! all for the user alone. A file that is damaged, newer or not ours is refused
//! and left as it is; nothing ever starts empty in its place.

#![cfg(unix)]

mod changes;
mod codes;
mod commit;
mod count;
mod groups;
mod intern;
mod lock;
mod migrate;
mod open;
mod place;
mod priorities;
mod reader;
mod readers;
mod recent;
mod rows;
mod schema;
mod store;
mod tombstones;
mod trouble;
mod work;
mod writer;

pub use store::{SqliteReader, SqliteStore, Stats};
