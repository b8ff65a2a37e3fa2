-- What fails, in groups of the same mistake (views of the log), and who is told of what
-- (subscriptions: operational state, not history). Before the code.

-- An entry that waits for a person or is failing now.
CREATE TABLE problems (
    -- the message's id, or its correlation's with the change's sequence behind a colon
    entry text PRIMARY KEY,
    correlation_id uuid NOT NULL,
    fingerprint text NOT NULL,
    -- of the event that said so last
    "position" bigint NOT NULL,
    since timestamptz NOT NULL,
    at timestamptz NOT NULL,
    attempts integer NOT NULL,
    detail text NOT NULL
);
CREATE INDEX problems_correlation_idx ON problems (correlation_id);
CREATE INDEX problems_group_idx ON problems (fingerprint, "position");

-- All entries with one mistake. Gone when the last of them is.
CREATE TABLE problem_groups (
    fingerprint text PRIMARY KEY,
    domain text NOT NULL,
    queue text NOT NULL CHECK (queue IN ('inbound', 'outbound')),
    state text NOT NULL CHECK (state IN ('error', 'ready', 'uncertain')),
    kind text NOT NULL,
    process_event text NOT NULL,
    system text NOT NULL,
    member text NOT NULL,
    step text NOT NULL,
    field text NOT NULL,
    status integer NOT NULL,
    pattern text NOT NULL,
    entries bigint NOT NULL CHECK (entries > 0),
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    "position" bigint NOT NULL
);
CREATE INDEX problem_groups_domain_idx ON problem_groups (domain, "position");

-- How far a started treatment of a group has come. Operational: begun anew if lost.
CREATE TABLE treatment_progress (
    treatment_id uuid PRIMARY KEY,
    after bigint NOT NULL,
    done bigint NOT NULL,
    settled bigint NOT NULL,
    busy bigint NOT NULL
);

-- Treatments under way are found by their few events.
CREATE INDEX rps_events_treatment_idx ON rps_events (topic, originator_id)
WHERE topic LIKE 'treatment.%';

GRANT SELECT, INSERT, UPDATE, DELETE
ON problems, problem_groups, treatment_progress TO rps_serving;
