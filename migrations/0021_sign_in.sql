-- People sign in: passwords, sessions, and what there is to say of who came in. Before
-- the code. Operational state, not history, but for `sign_ins`, which is only added to.

-- Hashes (argon2id), never in an event: what is in the log stays there.
CREATE TABLE passwords (
    account_id uuid PRIMARY KEY,
    domain text NOT NULL,
    hash text NOT NULL,
    set_at timestamptz NOT NULL
);

CREATE TABLE sessions (
    -- SHA-256 of what the browser holds: a copy of this table opens nothing
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    -- names it in lists
    session_id text NOT NULL,
    account_id uuid NOT NULL,
    domain text NOT NULL,
    -- who vouched for the person, and for whom; '' where they gave the password
    provider text NOT NULL,
    person text NOT NULL,
    source text NOT NULL,
    agent text NOT NULL,
    made_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    -- when they last proved who they are
    proved_at timestamptz NOT NULL
);
CREATE INDEX sessions_account_idx ON sessions (account_id);
CREATE INDEX sessions_made_idx ON sessions (made_at);

-- Attempts since the last one that succeeded, by account and by source. A key is a
-- SHA-256: what people type into a field for names may be their password.
CREATE TABLE sign_in_attempts (
    key bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    attempts integer NOT NULL,
    held_until timestamptz NOT NULL,
    last_at timestamptz NOT NULL
);
CREATE INDEX sign_in_attempts_last_idx ON sign_in_attempts (last_at);

CREATE TABLE sign_ins (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain text NOT NULL,
    -- '' where the name tried is nobody's
    account text NOT NULL,
    what text NOT NULL CHECK (what IN
        ('signed_in', 'confirmed', 'failed', 'held_back', 'signed_out', 'ended')),
    provider text NOT NULL,
    person text NOT NULL,
    source text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    count bigint NOT NULL DEFAULT 1 CHECK (count > 0),
    -- failures of one kind within an hour are one row
    hour timestamptz
);
CREATE UNIQUE INDEX sign_ins_group_idx
ON sign_ins (hour, domain, account, what, provider, source) WHERE hour IS NOT NULL;
CREATE INDEX sign_ins_account_idx ON sign_ins (domain, account, source, last_at);
CREATE INDEX sign_ins_last_idx ON sign_ins (last_at);

GRANT SELECT, INSERT, UPDATE, DELETE
ON passwords, sessions, sign_in_attempts TO rps_serving;
GRANT SELECT, INSERT, DELETE ON sign_ins TO rps_serving;
GRANT UPDATE (count, last_at) ON sign_ins TO rps_serving;
