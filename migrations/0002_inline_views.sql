-- What decisions need, written in the transaction of the append. Before the code.

CREATE TYPE entry_status AS ENUM ('ready', 'processed', 'error', 'skipped', 'uncertain');

-- record <-> correlation, unique both ways
CREATE TABLE links (
    domain text NOT NULL,
    definition uuid NOT NULL,
    member text NOT NULL,
    system text NOT NULL,
    record_table text NOT NULL,
    record_id text NOT NULL,
    correlation_id uuid NOT NULL,
    revision text,
    PRIMARY KEY (domain, definition, member, record_id),
    -- the correlation first, else plans made while it is small take it for the key above
    UNIQUE (correlation_id, member, domain)
);

-- which changes have come in: a change id is taken once per definition
CREATE TABLE intake (
    domain text NOT NULL,
    system text NOT NULL,
    change_id text NOT NULL,
    definition uuid NOT NULL,
    idempotency_key text,
    request_fingerprint text NOT NULL,
    fingerprint text NOT NULL,
    correlation_id uuid NOT NULL,
    "position" bigint NOT NULL,
    PRIMARY KEY (domain, system, change_id, definition)
);
CREATE INDEX intake_idempotency_key_idx ON intake (domain, idempotency_key)
WHERE idempotency_key IS NOT NULL;

CREATE TABLE inbound_queue (
    correlation_id uuid NOT NULL,
    -- where the change stands in its correlation: the position of its first capture
    sequence bigint NOT NULL,
    "position" bigint NOT NULL,
    domain text NOT NULL,
    definition uuid NOT NULL,
    process_event text NOT NULL,
    member text NOT NULL,
    system text NOT NULL,
    record_table text NOT NULL,
    record_id text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
    change_id text NOT NULL,
    status entry_status NOT NULL,
    detail text NOT NULL DEFAULT '',
    captured_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (correlation_id, sequence)
);
-- the way in: its head is the first row here
CREATE INDEX inbound_queue_lane_idx ON inbound_queue (correlation_id, sequence)
WHERE status IN ('ready', 'error');
CREATE INDEX inbound_queue_open_idx ON inbound_queue (domain, status, "position")
WHERE status IN ('ready', 'error');
CREATE INDEX inbound_queue_record_idx
ON inbound_queue (definition, member, record_id, sequence) WHERE status = 'ready';
CREATE INDEX inbound_queue_position_idx ON inbound_queue (domain, "position");

CREATE TABLE outbound_queue (
    message_id uuid PRIMARY KEY,
    correlation_id uuid NOT NULL,
    -- order within the lane: position of the event that made it, and place within it
    sequence bigint NOT NULL,
    place smallint NOT NULL,
    domain text NOT NULL,
    definition uuid NOT NULL,
    process_event text NOT NULL,
    definition_revision integer NOT NULL,
    member text NOT NULL,
    system text NOT NULL,
    record_table text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
    change_id text NOT NULL,
    replay_id uuid,
    -- fields, their versions, entries, origin, hop: what is to be written
    payload bytea NOT NULL,
    generation integer NOT NULL DEFAULT 0,
    status entry_status NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    detail text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL,
    settled_at timestamptz
) WITH (fillfactor = 80);
-- the lane's way: its head is the first row here
CREATE INDEX outbound_queue_lane_idx
ON outbound_queue (correlation_id, member, sequence, place)
WHERE status IN ('ready', 'error', 'uncertain');
CREATE INDEX outbound_queue_open_idx ON outbound_queue (domain, status, sequence, place)
WHERE status IN ('ready', 'error', 'uncertain');
CREATE INDEX outbound_queue_sequence_idx ON outbound_queue (domain, sequence, place);
CREATE INDEX outbound_queue_replay_idx ON outbound_queue (replay_id)
WHERE replay_id IS NOT NULL;

-- One row for each correlation's way in (direction 'in', member '') and for its way to
-- each member ('out'). `epoch` fences: an outcome is appended only with the epoch under
-- which its lane was claimed. A holder that never came back is seen by `holder`.
CREATE TABLE lanes (
    correlation_id uuid NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    member text NOT NULL,
    domain text NOT NULL,
    system text NOT NULL,
    head bigint,
    head_message uuid,
    head_status entry_status,
    due_at timestamptz,
    epoch bigint NOT NULL DEFAULT 0,
    holder text,
    leased_until timestamptz,
    not_before timestamptz,
    PRIMARY KEY (correlation_id, direction, member),
    CHECK ((head IS NULL) = (head_status IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX lanes_in_due_idx ON lanes (due_at)
WHERE direction = 'in' AND due_at IS NOT NULL;
CREATE INDEX lanes_out_due_idx ON lanes (domain, system, due_at)
WHERE direction = 'out' AND due_at IS NOT NULL;

-- Undoes an append one of whose lanes was claimed after its fence had been looked at.
CREATE FUNCTION rps_lane_lost() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a lane was claimed meanwhile'
        USING ERRCODE = 'serialization_failure';
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE
ON links, intake, inbound_queue, outbound_queue, lanes TO rps_serving;
