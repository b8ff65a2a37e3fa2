-- The audit that proves itself: keys, checkpoints of the log, what witnesses countersigned
-- and were shown, and who looked at what. All of it is append-only. Before the code.

CREATE FUNCTION rps_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- Public keys that signed checkpoints, as signed notes write them. The secret half is
-- among the secrets. `succession` is the word of the key before, '' of the first.
CREATE TABLE audit_keys (
    number integer PRIMARY KEY CHECK (number > 0),
    public_key text NOT NULL UNIQUE,
    succession text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL
);

-- Signed notes (rps/log/checkpoint.py): the Merkle root over the hashes of the first
-- `size` events. No events themselves: a checkpoint must not ask for the next one.
CREATE TABLE checkpoints (
    size bigint PRIMARY KEY CHECK (size > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    made_at timestamptz NOT NULL
);

-- Roots over 1,024 events each, from the first on: what makes checkpoints and proofs
-- cheap. Nobody believes them: verifying reads the events.
CREATE TABLE checkpoint_blocks (
    number bigint PRIMARY KEY CHECK (number >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32)
);

-- Lines of linked nodes that compared a checkpoint with what they had seen before.
CREATE TABLE cosignatures (
    size bigint NOT NULL REFERENCES checkpoints,
    domain text NOT NULL,
    system text NOT NULL,
    public_key text NOT NULL,
    line text NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (size, domain, system)
);

-- What linked nodes showed of their logs, and what we thought of it: `refused` is
-- evidence that the other log is not what it was; after a `reset`, which a person made, it
-- begins anew.
CREATE TABLE witnessed (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain text NOT NULL,
    system text NOT NULL,
    size bigint NOT NULL,
    note text NOT NULL,
    public_key text NOT NULL,
    state text NOT NULL CHECK (state IN ('taken', 'refused', 'reset')),
    detail text NOT NULL,
    seen_at timestamptz NOT NULL
);
CREATE INDEX witnessed_system_idx ON witnessed (domain, system, number);

-- Who looked at what; a chain of its own, each row's hash covers the one before it.
CREATE TABLE reads (
    number bigint PRIMARY KEY CHECK (number > 0),
    at timestamptz NOT NULL,
    domain text NOT NULL,
    reader text NOT NULL,
    via text NOT NULL CHECK (via IN ('api', 'command')),
    place text NOT NULL,
    what text NOT NULL,
    object text NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE INDEX reads_domain_idx ON reads (domain, number);
CREATE INDEX reads_at_idx ON reads (at);

-- The last of those that were kept long enough: the rest is verified from there on.
CREATE TABLE reads_forgotten (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    number bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
INSERT INTO reads_forgotten (number, hash) VALUES (0, sha256('rps reads'));

-- rps/log/reads.py computes the same.
CREATE FUNCTION rps_read_hash(
    previous bytea, number bigint, at timestamptz, VARIADIC said text[]
) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(
        previous || int8send(number)
        || convert_to(
            to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'UTF8')
        || string_agg(
            int4send(octet_length(convert_to(s.part, 'UTF8'))) || convert_to(s.part, 'UTF8'),
            '' ORDER BY s.place)
    )
    FROM unnest(said) WITH ORDINALITY AS s(part, place)
$$;

-- One statement for the caller; within, each sees what the last holder of the lock wrote.
CREATE FUNCTION rps_note_read(
    domain text, reader text, via text, place text, what text, object text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    last record;
    moment timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('rps reads', 0));
    SELECT r.number, r.hash INTO last FROM reads r ORDER BY r.number DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT f.number, f.hash INTO last FROM reads_forgotten f;
    END IF;
    moment := clock_timestamp();
    INSERT INTO reads VALUES (
        last.number + 1, moment, domain, reader, via, place, what, object,
        rps_read_hash(last.hash, last.number + 1, moment,
                      domain, reader, via, place, what, object)
    );
    RETURN last.number + 1;
END $$;

-- The one way in which reads go. Nobody who serves may delete them otherwise, and not
-- even this takes those of the last thirty days.
CREATE FUNCTION rps_forget_reads(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    last record;
BEGIN
    IF before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'reads are kept for thirty days at least';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('rps reads', 0));
    SELECT r.number, r.hash INTO last FROM reads r
    WHERE r.at < before ORDER BY r.number DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM set_config('rps.forgetting', 'on', true);
    DELETE FROM reads r WHERE r.number <= last.number;
    PERFORM set_config('rps.forgetting', '', true);
    UPDATE reads_forgotten f SET number = last.number, hash = last.hash;
    RETURN last.number;
END $$;
REVOKE EXECUTE ON FUNCTION rps_forget_reads(timestamptz) FROM PUBLIC;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_keys', 'checkpoints', 'checkpoint_blocks',
                                'cosignatures', 'witnessed'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %1$s_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %1$s'
            ' FOR EACH STATEMENT EXECUTE FUNCTION rps_is_append_only()', name);
        EXECUTE format('ALTER TABLE %1$s ENABLE ALWAYS TRIGGER %1$s_append_only', name);
    END LOOP;
END $$;
CREATE TRIGGER reads_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reads
FOR EACH STATEMENT
WHEN (current_setting('rps.forgetting', true) IS DISTINCT FROM 'on')
EXECUTE FUNCTION rps_is_append_only();
ALTER TABLE reads ENABLE ALWAYS TRIGGER reads_append_only;

GRANT SELECT, INSERT ON audit_keys, checkpoints, checkpoint_blocks, cosignatures,
    witnessed, reads TO rps_serving;
GRANT SELECT ON reads_forgotten TO rps_serving;
GRANT EXECUTE ON FUNCTION rps_forget_reads(timestamptz) TO rps_serving;
