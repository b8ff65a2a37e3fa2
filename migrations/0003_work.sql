-- What workers share among themselves. Operational state, not history: nothing here is
-- rebuilt from the log. Before the code.

-- A lease is found by its holder, for heartbeats.
CREATE INDEX lanes_holder_idx ON lanes (holder) WHERE holder IS NOT NULL;

-- The circuit breaker of each failing system, shared by every deliverer.
CREATE TABLE breakers (
    domain text NOT NULL,
    system text NOT NULL,
    trips integer NOT NULL,
    open_until timestamptz NOT NULL,
    probe_until timestamptz,
    reason text NOT NULL,
    PRIMARY KEY (domain, system)
);

-- Secrets live here and never in an event; events name them.
CREATE TABLE secrets (
    domain text NOT NULL,
    name text NOT NULL,
    value text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, name)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON breakers, secrets TO rps_serving;
