-- The log: the events table of the eventsourcing library, one column added.
-- Before the code.

CREATE TYPE stored_event_uuid AS (
    originator_id uuid,
    originator_version bigint,
    topic text,
    state bytea
);

CREATE TABLE rps_events (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigserial,
    -- SHA-256 over the hash before it and everything this row says (rps/log/chain.py)
    hash bytea NOT NULL,
    PRIMARY KEY (originator_id, originator_version),
    CHECK (octet_length(hash) = 32)
) WITH (
    autovacuum_enabled = true,
    autovacuum_vacuum_threshold = 100000000,
    autovacuum_vacuum_scale_factor = 0.5,
    autovacuum_analyze_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01
);

CREATE UNIQUE INDEX rps_events_notification_id_idx ON rps_events (notification_id ASC);

-- Definitions, systems, accounts and domains are few among many: this index lets every
-- process follow them, and every append learn whether it has seen the newest.
CREATE INDEX rps_events_configuration_idx ON rps_events (notification_id)
WHERE topic LIKE 'definition.%' OR topic LIKE 'system.%'
   OR topic LIKE 'account.%' OR topic LIKE 'domain.%';

-- Replays under way are found by their few events.
CREATE INDEX rps_events_replay_idx ON rps_events (topic, originator_id)
WHERE topic LIKE 'replay.%';

-- Where the log ends. One row, moved in the transaction of each append: a log whose
-- tail was cut no longer meets it.
CREATE TABLE rps_log_head (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    notification_id bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
INSERT INTO rps_log_head (notification_id, hash) VALUES (0, sha256('rps log'));

CREATE TABLE rps_tracking (
    application_name text PRIMARY KEY,
    notification_id bigint
);

CREATE FUNCTION rps_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER rps_events_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON rps_events
FOR EACH STATEMENT EXECUTE FUNCTION rps_log_is_append_only();
ALTER TABLE rps_events ENABLE ALWAYS TRIGGER rps_events_append_only;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rps_serving') THEN
        CREATE ROLE rps_serving NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this cluster made it at the same moment
END $$;

-- Whoever runs migrations may serve as well; other logins are granted it by hand.
DO $$
BEGIN
    IF NOT pg_has_role(CURRENT_USER, 'rps_serving', 'MEMBER') THEN
        GRANT rps_serving TO CURRENT_USER;
    END IF;
END $$;

GRANT SELECT, INSERT ON rps_events TO rps_serving;
GRANT USAGE ON SEQUENCE rps_events_notification_id_seq TO rps_serving;
GRANT SELECT, UPDATE ON rps_log_head TO rps_serving;
GRANT SELECT, INSERT, UPDATE, DELETE ON rps_tracking TO rps_serving;
GRANT SELECT ON rps_migrations TO rps_serving;
