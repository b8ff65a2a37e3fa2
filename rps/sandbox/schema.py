"""The ticket sandbox's tables."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    table_name  TEXT NOT NULL,
    record_id   TEXT NOT NULL,
    number      INTEGER NOT NULL CHECK (number > 0),
    revision    INTEGER NOT NULL CHECK (revision > 0),
    fields      TEXT NOT NULL,              -- a JSON object
    external_id TEXT,
    deleted     INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    updated_at  TEXT NOT NULL,
    PRIMARY KEY (table_name, record_id),
    UNIQUE (table_name, number),            -- and how the next number is found
    UNIQUE (table_name, external_id)        -- one copy of each correlation
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS records_by_time ON records (updated_at);

CREATE TABLE IF NOT EXISTS comments (
    n           INTEGER PRIMARY KEY,
    table_name  TEXT NOT NULL,
    record_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    journal     TEXT NOT NULL,
    text        TEXT NOT NULL,
    author      TEXT NOT NULL,
    written_at  TEXT NOT NULL,
    UNIQUE (table_name, record_id, id),     -- an entry that comes twice is one entry
    FOREIGN KEY (table_name, record_id) REFERENCES records
);

-- Files of records; their bytes lie beside the database, by SHA-256. `coming`: offered
-- by rps, and not pulled from it yet.
CREATE TABLE IF NOT EXISTS attachments (
    n           INTEGER PRIMARY KEY,
    table_name  TEXT NOT NULL,
    record_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    size        INTEGER NOT NULL CHECK (size >= 0),
    type        TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    version     INTEGER NOT NULL DEFAULT 1,
    deleted     INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    state       TEXT NOT NULL CHECK (state IN ('here', 'coming')),
    reason      TEXT NOT NULL DEFAULT '',
    UNIQUE (table_name, record_id, id),
    FOREIGN KEY (table_name, record_id) REFERENCES records
);

CREATE INDEX IF NOT EXISTS attachments_coming ON attachments (n) WHERE state = 'coming';

-- What rps had us do. A row is written with its effect, so it proves the effect.
CREATE TABLE IF NOT EXISTS messages (
    n              INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id     TEXT NOT NULL UNIQUE,
    correlation_id TEXT NOT NULL,
    table_name     TEXT NOT NULL,
    record_id      TEXT NOT NULL,
    operation      TEXT NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
    fields         TEXT NOT NULL,
    answer         BLOB NOT NULL,           -- as sent, byte for byte
    replays        INTEGER NOT NULL DEFAULT 0,
    applied_at     TEXT NOT NULL
);

-- What rps is still to be told, in this order. A refused row stays to be looked at.
CREATE TABLE IF NOT EXISTS outbox (
    n        INTEGER PRIMARY KEY AUTOINCREMENT,
    change   BLOB NOT NULL,
    state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'refused')),
    attempts INTEGER NOT NULL DEFAULT 0,
    reason   TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (n) WHERE state = 'waiting';
"""
