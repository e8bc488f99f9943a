//! The newest schema, the steps that lead to it from older ones, and what marks
//! a file as one of ours.

/// `TOWL`, in the header of every store.
pub(crate) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"TOWL");

/// The newest schema known here, in `user_version`.
pub(crate) const VERSION: i32 = 4;

/// How many incidents are kept of each transfer.
pub(crate) const INCIDENTS_KEPT: i64 = 64;

/// What groups have that list their own transfers: since schema 3.
macro_rules! listings {
    () => {
        "
CREATE TABLE listings (
    group_id   INTEGER PRIMARY KEY REFERENCES groups ON DELETE CASCADE,
    request    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    phase      INTEGER NOT NULL,
    paused     INTEGER NOT NULL,
    steering   INTEGER NOT NULL,
    position   TEXT,
    entries    INTEGER NOT NULL,
    skipped    INTEGER NOT NULL,
    refused    INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    error      TEXT,
    ended_at   INTEGER,
    all_well   INTEGER NOT NULL,
    changed    INTEGER NOT NULL
) STRICT;
CREATE INDEX listings_by_change ON listings (changed);
CREATE INDEX listings_unended ON listings (group_id) WHERE ended_at IS NULL;
CREATE INDEX transfers_of_group_unfinished ON transfers (group_id)
    WHERE group_id IS NOT NULL AND phase < 100;

CREATE TABLE not_listed (
    group_id INTEGER NOT NULL REFERENCES listings ON DELETE CASCADE,
    skipped  INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    key      TEXT,
    path     BLOB,
    code     TEXT NOT NULL,
    why      TEXT NOT NULL,
    PRIMARY KEY (group_id, skipped, n)
) STRICT, WITHOUT ROWID;
"
    };
}

/// What a sync compared as the same is counted: since schema 4.
macro_rules! same {
    () => {
        "ALTER TABLE listings ADD COLUMN same INTEGER NOT NULL DEFAULT 0;"
    };
}

/// Each schema, and what makes it of the one before.
pub(crate) const STEPS: &[(i32, &str)] = &[
    // Schema 1 was written by builds of which not all knew these indexes.
    (
        2,
        "CREATE INDEX IF NOT EXISTS transfers_by_change ON transfers (state_changed);
         CREATE INDEX IF NOT EXISTS groups_by_name ON groups (name);
         CREATE INDEX IF NOT EXISTS transfers_by_group ON transfers (group_id)
             WHERE group_id IS NOT NULL;",
    ),
    (3, listings!()),
    (4, same!()),
];

/// Creates the newest schema in an empty database. The numbers of phases and other
/// enums are those of `codes.rs`: below 50 it goes on by itself, from 100 on
/// it is final.
///
/// `uses` counts the transfers that refer to an interned row; at 0 it goes.
/// `changed` and `state_changed` come from one growing sequence, so that a
/// reader that knows (store, epoch, n) can ask for what is newer.
pub(crate) const CREATE: &str = concat!(
    "
CREATE TABLE meta (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    store    BLOB NOT NULL,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, randomblob(16), 1, 0);

CREATE TABLE buckets (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    value TEXT NOT NULL UNIQUE,
    uses  INTEGER NOT NULL
) STRICT;
CREATE TABLE directories (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    value BLOB NOT NULL UNIQUE,
    uses  INTEGER NOT NULL
) STRICT;
CREATE TABLE connections (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    value TEXT NOT NULL UNIQUE,
    uses  INTEGER NOT NULL
) STRICT;
CREATE TABLE options (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    value TEXT NOT NULL UNIQUE,
    uses  INTEGER NOT NULL
) STRICT;
CREATE TABLE groups (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT
) STRICT;

CREATE TABLE transfers (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    direction       INTEGER NOT NULL,
    bucket          INTEGER NOT NULL REFERENCES buckets,
    key             TEXT NOT NULL,
    version_id      TEXT,
    directory       INTEGER NOT NULL REFERENCES directories,
    file            BLOB NOT NULL,
    connection      INTEGER NOT NULL REFERENCES connections,
    options         INTEGER NOT NULL REFERENCES options,
    token           TEXT,
    group_id        INTEGER REFERENCES groups,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    phase           INTEGER NOT NULL,
    sub             INTEGER NOT NULL,
    generation      INTEGER NOT NULL,
    plan_size       INTEGER,
    plan_part_size  INTEGER,
    source_device   INTEGER,
    source_inode    INTEGER,
    source_size     INTEGER,
    source_modified INTEGER,
    source_changed  INTEGER,
    upload_id       TEXT,
    object          TEXT,
    temp_name       TEXT,
    temp_boot       TEXT,
    asked           INTEGER,
    asked_at        INTEGER,
    sealed_device   INTEGER,
    sealed_inode    INTEGER,
    sealed_size     INTEGER,
    sealed_modified INTEGER,
    bytes_done      INTEGER NOT NULL,
    error           TEXT,
    outcome         INTEGER,
    proof           TEXT,
    changed         INTEGER NOT NULL,
    state_changed   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX transfers_by_token ON transfers (token) WHERE token IS NOT NULL;
CREATE INDEX transfers_going ON transfers (id) WHERE phase < 50;
CREATE INDEX transfers_stopped ON transfers (phase, id) WHERE phase >= 50 AND phase <> 100;
CREATE INDEX transfers_by_change ON transfers (state_changed);
CREATE INDEX transfers_by_object ON transfers (bucket, key);
CREATE INDEX groups_by_name ON groups (name);
CREATE INDEX transfers_by_group ON transfers (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX transfers_by_path ON transfers (directory, file);

CREATE TABLE parts (
    transfer  INTEGER NOT NULL REFERENCES transfers ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    len       INTEGER NOT NULL,
    etag      TEXT,
    algorithm INTEGER,
    checksum  BLOB,
    PRIMARY KEY (transfer, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    transfer   INTEGER NOT NULL REFERENCES transfers ON DELETE CASCADE,
    n          INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    part       INTEGER,
    error      TEXT NOT NULL,
    PRIMARY KEY (transfer, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
    changed  INTEGER PRIMARY KEY,
    transfer INTEGER NOT NULL
) STRICT;
",
    listings!(),
    same!()
);
