-- What is asked of systems that do not call, and what is kept so that a killed worker
-- doubles nothing. Before the code. Operational state, not history.

-- How far each table was read. The cursor is saved after what it tells of is committed.
CREATE TABLE polls (
    domain text NOT NULL,
    system text NOT NULL,
    record_table text NOT NULL,
    -- the connector's own; NULL: from now on
    cursor jsonb,
    due_at timestamptz NOT NULL DEFAULT now(),
    -- one at a time, else two would read the same
    holder text,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    detail text NOT NULL DEFAULT '',
    polled_at timestamptz,
    told bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (domain, system, record_table)
);
CREATE INDEX polls_due_idx ON polls (due_at);

-- Entries and files that were begun to be written to a system which cannot dedupe: by
-- the record, not the message, as they are written once whatever brings them.
CREATE TABLE remote_parts (
    domain text NOT NULL,
    system text NOT NULL,
    -- its table and id
    record text NOT NULL,
    part text NOT NULL,
    -- the same text, or bytes, of two parts is told apart by how often it is there
    content text NOT NULL,
    begun_at timestamptz NOT NULL,
    done boolean NOT NULL DEFAULT false,
    remote_id text NOT NULL DEFAULT '',
    PRIMARY KEY (domain, system, record, part)
);
CREATE INDEX remote_parts_begun_idx ON remote_parts (begun_at);

-- Which content the files of a system have, which its API does not tell.
CREATE TABLE remote_files (
    domain text NOT NULL,
    system text NOT NULL,
    file_id text NOT NULL,
    record_id text NOT NULL,
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size bigint NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, system, file_id)
);
CREATE INDEX remote_files_content_idx ON remote_files (domain, system, sha256);

-- Requests that a system may still be sent, shared by all workers: a bucket that fills
-- with time.
CREATE TABLE request_budgets (
    domain text NOT NULL,
    system text NOT NULL,
    tokens double precision NOT NULL,
    filled_at timestamptz NOT NULL,
    PRIMARY KEY (domain, system)
);

-- A file whose content is not known is written under a name for the time being.
ALTER TABLE blob_chunks
DROP CONSTRAINT blob_chunks_domain_sha256_fkey,
ADD CONSTRAINT blob_chunks_domain_sha256_fkey FOREIGN KEY (domain, sha256)
REFERENCES blobs ON UPDATE CASCADE ON DELETE CASCADE;

GRANT SELECT, INSERT, UPDATE, DELETE
ON polls, remote_parts, remote_files, request_budgets TO rps_serving;
