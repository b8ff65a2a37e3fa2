-- Notices: what people may want to be told of, in groups (a view of the log), and how far
-- each subscription was told (operational state, not history). Before the code.

CREATE TABLE notices (
    notice_id uuid PRIMARY KEY,
    domain text NOT NULL,
    -- what belongs together; after a quiet time the same key begins another notice
    key text NOT NULL,
    topic text NOT NULL,
    process_event text NOT NULL,
    system text NOT NULL,
    member text NOT NULL,
    field text NOT NULL,
    fingerprint text NOT NULL,
    -- open: the outage goes on; folded: it turned out to belong to an outage
    state text NOT NULL CHECK (state IN ('open', 'over', 'folded')),
    detail text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    count bigint NOT NULL CHECK (count > 0),
    -- of an outage: since when, and what was held up by it
    began_at timestamptz,
    seconds double precision NOT NULL,
    parked bigint NOT NULL,
    waited bigint NOT NULL,
    owed boolean NOT NULL,
    samples jsonb NOT NULL,
    opened bigint NOT NULL,
    "position" bigint NOT NULL
);
CREATE UNIQUE INDEX notices_key_idx ON notices (domain, key, opened);
CREATE INDEX notices_domain_idx ON notices (domain, "position");
CREATE INDEX notices_position_idx ON notices ("position");
CREATE INDEX notices_outages_idx ON notices (domain, system) WHERE state = 'open';
CREATE INDEX notices_owed_idx ON notices (domain, system, first_at) WHERE owed;

-- What a subscription is told of a notice: first, then in summaries. `content` is fixed
-- before the first attempt, so that every attempt says the same under the same id.
CREATE TABLE notice_deliveries (
    delivery_id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    domain text NOT NULL,
    notice_id uuid NOT NULL,
    part integer NOT NULL CHECK (part > 0),
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'failed', 'dropped')),
    due_at timestamptz NOT NULL,
    holder text,
    leased_until timestamptz,
    epoch bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    -- how many of the notice's happenings it tells of, those of earlier parts included
    told bigint NOT NULL DEFAULT 0,
    content json,  -- not jsonb: the very bytes
    detail text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL,
    settled_at timestamptz,
    UNIQUE (notice_id, subscription_id, part)
);
CREATE INDEX notice_deliveries_due_idx ON notice_deliveries (due_at)
WHERE state = 'waiting';
CREATE INDEX notice_deliveries_failed_idx ON notice_deliveries (domain, subscription_id)
WHERE state = 'failed';

-- Up to which position notices were planned for. One row.
CREATE TABLE notice_planning (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    "position" bigint NOT NULL
);
INSERT INTO notice_planning ("position") SELECT notification_id FROM rps_log_head;

-- Subscriptions are found by their few events.
CREATE INDEX rps_events_subscription_idx
ON rps_events (originator_id, originator_version)
WHERE topic LIKE 'subscription.%';

GRANT SELECT, INSERT, UPDATE, DELETE
ON notices, notice_deliveries, notice_planning TO rps_serving;
