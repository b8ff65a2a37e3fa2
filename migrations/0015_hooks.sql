-- Records of which a system's webhook said that they changed, to be read soon. Before
-- the code. Operational state, not history.
CREATE TABLE hints (
    domain text NOT NULL,
    system text NOT NULL,
    record_table text NOT NULL,
    record_id text NOT NULL,
    -- of the last hook: one that comes while the record is read asks for it again
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    PRIMARY KEY (domain, system, record_table, record_id)
);
CREATE INDEX hints_due_idx ON hints (due_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON hints TO rps_serving;
