-- Secrets sealed under a key of their domain, which is sealed under one of the
-- operator's (rps/keys). Plain ones stay readable until `rps keys encrypt`: processes of
-- the version before do not read sealed ones. Before the code.

-- The newest of a domain seals what is new; those before it open what there is.
CREATE TABLE domain_keys (
    domain text NOT NULL,
    key_id bytea NOT NULL CHECK (octet_length(key_id) = 8),
    -- the operator's key that `wrapped` is under
    wrapped_by bytea NOT NULL CHECK (octet_length(wrapped_by) = 8),
    wrapped bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (domain, key_id)
);

ALTER TABLE secrets
ADD COLUMN sealed bytea,
ALTER COLUMN value DROP NOT NULL,
ADD CONSTRAINT secrets_plain_or_sealed CHECK (num_nonnulls(value, sealed) = 1);

-- Never deleted by what serves: without its key a domain's secrets are lost.
GRANT SELECT, INSERT, UPDATE ON domain_keys TO rps_serving;
