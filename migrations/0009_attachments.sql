-- Files: which messages carry them (a view of the log), and their bytes. Before the code.

CREATE TABLE message_attachments (
    message_id uuid NOT NULL,
    sha256 text NOT NULL,
    domain text NOT NULL,
    correlation_id uuid NOT NULL,
    member text NOT NULL,
    -- which system offered it
    system text NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL,
    -- the message is not to be sent before it is here
    waits boolean NOT NULL,
    PRIMARY KEY (message_id, sha256)
);
CREATE INDEX message_attachments_waiting_idx ON message_attachments (domain, sha256)
WHERE waits;
CREATE INDEX message_attachments_content_idx ON message_attachments (domain, sha256);

-- What is here, or coming, of a file: found by its content, once in a domain. Not the
-- log's story: what is lost is pulled again.
CREATE TABLE blobs (
    domain text NOT NULL,
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size bigint NOT NULL CHECK (size > 0),
    -- how many bytes are here, from the first on
    stored bigint NOT NULL DEFAULT 0 CHECK (stored BETWEEN 0 AND size),
    -- whole, and its content is what its name says
    complete boolean NOT NULL DEFAULT false CHECK (NOT complete OR stored = size),
    -- who writes it now: one at a time, each with its own token
    holder uuid,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    detail text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, sha256)
);

CREATE TABLE blob_chunks (
    domain text NOT NULL,
    sha256 text NOT NULL,
    -- of its first byte within the file
    start bigint NOT NULL,
    content bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 1048576),
    PRIMARY KEY (domain, sha256, start),
    FOREIGN KEY (domain, sha256) REFERENCES blobs ON DELETE CASCADE
);
-- images and archives are compressed already
ALTER TABLE blob_chunks ALTER COLUMN content SET STORAGE EXTERNAL;

GRANT SELECT, INSERT, UPDATE, DELETE
ON message_attachments, blobs, blob_chunks TO rps_serving;
