-- Conflicts, as people look for them and decide them. Before the code.

CREATE TABLE conflicts (
    "position" bigint PRIMARY KEY,
    domain text NOT NULL,
    correlation_id uuid NOT NULL,
    member text NOT NULL,
    field text NOT NULL,
    change_id text NOT NULL,
    base jsonb NOT NULL,
    mine jsonb NOT NULL,
    theirs jsonb NOT NULL,
    policy text NOT NULL,
    state text NOT NULL CHECK (state IN ('decided', 'open', 'resolved', 'superseded')),
    winner text NOT NULL,
    value jsonb,
    actor text NOT NULL,
    reason text NOT NULL,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE INDEX conflicts_domain_idx ON conflicts (domain, "position");
CREATE INDEX conflicts_correlation_idx ON conflicts (correlation_id, "position");
CREATE UNIQUE INDEX conflicts_open_idx
ON conflicts (correlation_id, member, field) WHERE state = 'open';
CREATE INDEX conflicts_waiting_idx ON conflicts (domain, "position")
WHERE state = 'open';

GRANT SELECT, INSERT, UPDATE, DELETE ON conflicts TO rps_serving;
