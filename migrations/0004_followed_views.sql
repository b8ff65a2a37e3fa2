-- Views that follow the log. Rows and `rps_tracking` move in one transaction. Before the
-- code.

-- One row for each event: what happened, to what, when.
CREATE TABLE history (
    "position" bigint PRIMARY KEY,
    domain text NOT NULL,
    stream uuid NOT NULL,
    version bigint NOT NULL,
    at timestamptz NOT NULL,
    topic text NOT NULL,
    member text NOT NULL DEFAULT '',
    change_id text NOT NULL DEFAULT '',
    message_id uuid,
    actor text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT ''
);
-- What happened to one stream is found by the log's own key; times go up with positions.
CREATE INDEX history_domain_idx ON history (domain, "position");
CREATE INDEX history_time_idx ON history USING brin (at);

-- The shared record as it stands, to find it by.
CREATE TABLE correlations (
    correlation_id uuid PRIMARY KEY,
    domain text NOT NULL,
    definition uuid NOT NULL,
    process_event text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'inactive')),
    version bigint NOT NULL,
    fields jsonb NOT NULL,
    members jsonb NOT NULL,
    conflicts integer NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    "position" bigint NOT NULL,
    words tsvector NOT NULL
);
CREATE INDEX correlations_domain_idx ON correlations (domain, "position");
CREATE INDEX correlations_words_idx ON correlations USING gin (words);

CREATE TABLE remote_systems (
    system_id uuid PRIMARY KEY,
    domain text NOT NULL,
    name text NOT NULL,
    connector text NOT NULL,
    description text NOT NULL,
    settings jsonb NOT NULL,
    state text NOT NULL,
    fault text NOT NULL,
    version bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    UNIQUE (domain, name)
);

CREATE TABLE definitions (
    definition_id uuid PRIMARY KEY,
    domain text NOT NULL,
    process_event text NOT NULL,
    state text NOT NULL CHECK (state IN ('draft', 'published', 'retired')),
    revision integer NOT NULL,
    document jsonb NOT NULL,
    published jsonb,
    version bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    UNIQUE (domain, process_event)
);

-- Every attempt to write to a member.
CREATE TABLE attempts (
    "position" bigint PRIMARY KEY,
    message_id uuid NOT NULL,
    correlation_id uuid NOT NULL,
    domain text NOT NULL,
    member text NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL,
    status integer,
    detail text NOT NULL
);
CREATE INDEX attempts_message_idx ON attempts (message_id, "position");

-- Counts a minute and member: of changes by where they came from, of messages by where
-- they went.
CREATE TABLE statistics (
    domain text NOT NULL,
    member text NOT NULL,
    minute timestamptz NOT NULL,
    captured bigint NOT NULL DEFAULT 0,
    accepted bigint NOT NULL DEFAULT 0,
    ignored bigint NOT NULL DEFAULT 0,
    failed_changes bigint NOT NULL DEFAULT 0,
    acknowledged bigint NOT NULL DEFAULT 0,
    failed_attempts bigint NOT NULL DEFAULT 0,
    parked bigint NOT NULL DEFAULT 0,
    conflicts bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (domain, member, minute)
);

GRANT SELECT, INSERT, UPDATE, DELETE
ON history, correlations, remote_systems, definitions, attempts, statistics
TO rps_serving;
