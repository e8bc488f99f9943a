PRAGMA application_id = 1414485836;
PRAGMA user_version = 2;
BEGIN;
CREATE TABLE meta (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    store    BLOB NOT NULL,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;
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
INSERT INTO meta VALUES (1, X'69EFD28B893315E806AC488AE51BB45E', 1, 67);
INSERT INTO buckets VALUES (1, 'bucket', 25);
INSERT INTO buckets VALUES (2, 'another-bucket', 1);
INSERT INTO directories VALUES (1, X'2F646174612F696E2F', 20);
INSERT INTO directories VALUES (2, X'', 1);
INSERT INTO directories VALUES (3, X'2F646174612F6F75742F', 4);
INSERT INTO directories VALUES (4, X'2F646174612FFFFE2F', 1);
INSERT INTO connections VALUES (1, '{"source":"environment","endpoint":null,"region":null,"addressing":"auto","dual_stack":false,"fips":false,"accelerate":false,"signed_payload":null}', 25);
INSERT INTO connections VALUES (2, '{"source":{"profile":"work"},"endpoint":"https://store.example","region":"eu-west-1","addressing":"auto","dual_stack":false,"fips":false,"accelerate":false,"signed_payload":null}', 1);
INSERT INTO options VALUES (1, '{}', 23);
INSERT INTO options VALUES (2, '{"part_size":5242880,"checksum":"sha256","if_absent":true,"object":{"content_type":"text/plain","metadata":{"k":"v - w"},"tags":{"team":"a"},"storage_class":"STANDARD_IA","encryption":{"kms":{"key_id":"alias/k","context":{},"bucket_key":true}}}}', 1);
INSERT INTO options VALUES (3, '{"network":"unmetered"}', 1);
INSERT INTO options VALUES (4, '{"when_target_exists":"rename"}', 1);
INSERT INTO groups VALUES (1, 'holiday pictures');
INSERT INTO transfers VALUES (1, 1, 1, 'queued', NULL, 1, X'717565756564', 1, 1, NULL, NULL, 1763000000000, 1763000000000, 1, 0, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 1, 1);
INSERT INTO transfers VALUES (2, 1, 1, 'asked to put', NULL, 1, X'61736B656420746F20707574', 1, 1, 't-1', NULL, 1763000000000, 1763000001000, 3, 0, 1, 5242880, 5242880, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1763000005000, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 3, 3);
INSERT INTO transfers VALUES (3, 1, 1, 'asked to create', NULL, 1, X'61736B656420746F20637265617465', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 2, 0, 1, 15728640, 5242880, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1763000005000, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 5, 5);
INSERT INTO transfers VALUES (4, 1, 1, 'two of three parts', NULL, 1, X'74776F206F66207468726565207061727473', 2, 2, NULL, 1, 1763000000000, 1763000001000, 3, 0, 1, 15728640, 5242880, NULL, NULL, NULL, NULL, NULL, 'upload-1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 10485760, NULL, NULL, NULL, 9, 7);
INSERT INTO transfers VALUES (5, 1, 1, 'asked to complete', NULL, 1, X'61736B656420746F20636F6D706C657465', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 5, 0, 1, 10485760, 5242880, NULL, NULL, NULL, NULL, NULL, 'upload-2', NULL, NULL, NULL, 3, 1763000005000, NULL, NULL, NULL, NULL, 10485760, NULL, NULL, NULL, 12, 12);
INSERT INTO transfers VALUES (6, 1, 1, 'paused', NULL, 1, X'706175736564', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 50, 0, 1, 10485760, 5242880, NULL, NULL, NULL, NULL, NULL, 'upload-3', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 5242880, NULL, NULL, NULL, 15, 15);
INSERT INTO transfers VALUES (7, 1, 1, 'being canceled', NULL, 1, X'6265696E672063616E63656C6564', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 6, 1, 1, 10485760, 5242880, NULL, NULL, NULL, NULL, NULL, 'upload-4', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 18, 18);
INSERT INTO transfers VALUES (8, 1, 1, 'its third generation', NULL, 1, X'6974732074686972642067656E65726174696F6E', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 2, 0, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 23, 22);
INSERT INTO transfers VALUES (9, 1, 2, 'failed', NULL, 1, X'6661696C6564', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 102, 0, 1, 10485760, 5242880, NULL, NULL, NULL, NULL, NULL, 'upload-6', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 5242880, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":9}', NULL, NULL, 26, 26);
INSERT INTO transfers VALUES (10, 1, 1, 'canceled', NULL, 1, X'63616E63656C6564', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 101, 0, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 28, 28);
INSERT INTO transfers VALUES (11, 1, 1, 'completed', NULL, 1, X'636F6D706C65746564', 1, 1, 't-2', 1, 1763000000000, 1763000001000, 100, 0, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 1, '{"verified":"full-object","etag":"\"done\"","version_id":null,"checksum":null}', 30, 30);
INSERT INTO transfers VALUES (12, 1, 1, 'a stream', NULL, 2, X'', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 3, 0, 1, 10485760, 5242880, NULL, NULL, NULL, NULL, NULL, 'upload-7', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 32, 32);
INSERT INTO transfers VALUES (13, 1, 1, 'on cheap networks', NULL, 1, X'6F6E206368656170206E6574776F726B73', 1, 3, NULL, NULL, 1763000000000, 1763000000000, 1, 0, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 34, 33);
INSERT INTO transfers VALUES (14, 2, 1, 'one of three parts', NULL, 3, X'6F6E65206F66207468726565207061727473', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 3, 0, 1, 12582912, 5242880, NULL, NULL, NULL, NULL, NULL, NULL, '{"etag":"\"0123\"","version_id":"v-9","last_modified":1763000001000,"checksum":["crc32c","full_object","09000000"],"parts":3,"encryption":"AES256"}', '.towline-0123456789abcdef.part', '5b1f6b4e-0000-4000-8000-000000000000', NULL, NULL, NULL, NULL, NULL, NULL, 5242880, NULL, NULL, NULL, 37, 36);
INSERT INTO transfers VALUES (15, 2, 1, 'about to be renamed', NULL, 3, X'61626F757420746F2062652072656E616D6564', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 5, 0, 1, 12582912, 5242880, NULL, NULL, NULL, NULL, NULL, NULL, '{"etag":"\"0123\"","version_id":"v-9","last_modified":1763000001000,"checksum":["crc32c","full_object","09000000"],"parts":3,"encryption":"AES256"}', '.towline-0123456789abcdef.part', '5b1f6b4e-0000-4000-8000-000000000000', NULL, NULL, 7, -2, 12582912, -5, 12582912, NULL, NULL, NULL, 42, 42);
INSERT INTO transfers VALUES (16, 2, 1, 'beside', 'v-1', 3, X'626573696465', 1, 4, NULL, NULL, 1763000000000, 1763000001000, 100, 0, 1, 12582912, 5242880, NULL, NULL, NULL, NULL, NULL, NULL, '{"etag":"\"0123\"","version_id":"v-9","last_modified":1763000001000,"checksum":["crc32c","full_object","09000000"],"parts":3,"encryption":"AES256"}', '.towline-0123456789abcdef.part', '5b1f6b4e-0000-4000-8000-000000000000', NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 1, '{"verified":"composite","etag":"\"done\"","version_id":null,"checksum":["sha256","composite","0100000001000000010000000100000001000000010000000100000001000000"],"renamed":4}', 45, 45);
INSERT INTO transfers VALUES (17, 2, 1, 'skipped', NULL, 3, X'736B6970706564', 1, 1, NULL, NULL, 1763000000000, 1763000001000, 100, 0, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 2, NULL, 47, 47);
INSERT INTO transfers VALUES (18, 2, 1, 'to a file whose name is no text', NULL, 4, X'01', 1, 1, NULL, NULL, 1763000000000, 1763000000000, 1, 0, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 48, 48);
INSERT INTO transfers VALUES (19, 1, 1, 'parked-Network', NULL, 1, X'7061726B65642D4E6574776F726B', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 1, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 50, 50);
INSERT INTO transfers VALUES (20, 1, 1, 'parked-Credentials', NULL, 1, X'7061726B65642D43726564656E7469616C73', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 2, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 52, 52);
INSERT INTO transfers VALUES (21, 1, 1, 'parked-DiskFull', NULL, 1, X'7061726B65642D4469736B46756C6C', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 3, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 54, 54);
INSERT INTO transfers VALUES (22, 1, 1, 'parked-ReadOnly', NULL, 1, X'7061726B65642D526561644F6E6C79', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 4, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 56, 56);
INSERT INTO transfers VALUES (23, 1, 1, 'parked-Clock', NULL, 1, X'7061726B65642D436C6F636B', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 5, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 58, 58);
INSERT INTO transfers VALUES (24, 1, 1, 'parked-Tls', NULL, 1, X'7061726B65642D546C73', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 6, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 60, 60);
INSERT INTO transfers VALUES (25, 1, 1, 'parked-Throttled', NULL, 1, X'7061726B65642D5468726F74746C6564', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 7, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 62, 62);
INSERT INTO transfers VALUES (26, 1, 1, 'parked-NetworkClass', NULL, 1, X'7061726B65642D4E6574776F726B436C617373', 1, 1, NULL, 1, 1763000000000, 1763000001000, 7, 8, 1, NULL, NULL, 7, -1, 10000, 1700000000123456789, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}', NULL, NULL, 64, 64);
INSERT INTO parts VALUES (4, 1, 5242880, '"etag-1"', 1, X'0100000001000000');
INSERT INTO parts VALUES (4, 3, 5242880, '"etag-3"', 1, X'0300000003000000');
INSERT INTO parts VALUES (5, 1, 5242880, '"etag-1"', 1, X'0100000001000000');
INSERT INTO parts VALUES (5, 2, 5242880, '"etag-2"', 1, X'0200000002000000');
INSERT INTO parts VALUES (6, 2, 5242880, '"etag-2"', 1, X'0200000002000000');
INSERT INTO parts VALUES (9, 1, 5242880, '"etag-1"', 1, X'0100000001000000');
INSERT INTO parts VALUES (14, 2, 5242880, '"etag-2"', 1, X'0200000002000000');
INSERT INTO parts VALUES (15, 1, 5242880, '"etag-1"', 1, X'0100000001000000');
INSERT INTO parts VALUES (15, 2, 5242880, '"etag-2"', 1, X'0200000002000000');
INSERT INTO parts VALUES (15, 3, 2097152, NULL, 2, X'03000000');
INSERT INTO incidents VALUES (1, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (1, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (1, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (4, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (4, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (4, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (7, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (7, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (7, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (10, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (10, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (10, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (13, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (13, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (13, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (16, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (16, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (16, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (19, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (19, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (19, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (22, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (22, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (22, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO incidents VALUES (25, 1, 1763000001000, 1, NULL, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":1}');
INSERT INTO incidents VALUES (25, 2, 1763000002000, 1, 2, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":2}');
INSERT INTO incidents VALUES (25, 3, 1763000003000, 1, 3, '{"code":"SlowDown","message":"S3 asks for fewer requests – \u001b[31m","http_status":503,"request_id":"R1","attempts":3}');
INSERT INTO tombstones VALUES (67, 27);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('buckets', 2);
INSERT INTO sqlite_sequence VALUES ('directories', 4);
INSERT INTO sqlite_sequence VALUES ('connections', 2);
INSERT INTO sqlite_sequence VALUES ('options', 4);
INSERT INTO sqlite_sequence VALUES ('transfers', 27);
INSERT INTO sqlite_sequence VALUES ('groups', 1);
CREATE UNIQUE INDEX transfers_by_token ON transfers (token) WHERE token IS NOT NULL;
CREATE INDEX transfers_going ON transfers (id) WHERE phase < 50;
CREATE INDEX transfers_stopped ON transfers (phase, id) WHERE phase >= 50 AND phase <> 100;
CREATE INDEX transfers_by_change ON transfers (state_changed);
CREATE INDEX transfers_by_object ON transfers (bucket, key);
CREATE INDEX groups_by_name ON groups (name);
CREATE INDEX transfers_by_group ON transfers (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX transfers_by_path ON transfers (directory, file);
COMMIT;
