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
