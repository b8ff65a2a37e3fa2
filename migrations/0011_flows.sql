-- What the steps of flows ask and are answered. Before the code.

-- a change whose flow has asked waits for the answer
ALTER TABLE inbound_queue ADD COLUMN waits boolean NOT NULL DEFAULT false;
-- what the flow of a message was answered, by question
ALTER TABLE outbound_queue ADD COLUMN answers bytea;

-- asked and not answered: a view of the log
CREATE TABLE questions (
    question_id uuid PRIMARY KEY,
    domain text NOT NULL,
    correlation_id uuid NOT NULL,
    member text NOT NULL,
    -- of the change that waits, 0 for a message
    sequence bigint NOT NULL,
    change_id text NOT NULL,
    message_id uuid,
    -- which system is asked, '' for an action
    system text NOT NULL,
    question bytea NOT NULL,
    -- what is asked: the same record is asked for once, for all who want to know
    inquiry text NOT NULL,
    asked_at timestamptz NOT NULL
);
CREATE INDEX questions_inquiry_idx ON questions (inquiry);
CREATE INDEX questions_message_idx ON questions (message_id)
WHERE message_id IS NOT NULL;
CREATE INDEX questions_change_idx ON questions (correlation_id, sequence);

-- How asking goes, and what was found lately. Operational state, not history: what is
-- lost here is asked again.
CREATE TABLE inquiries (
    inquiry text PRIMARY KEY,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    -- who asks now: one at a time, so that no record is made twice
    holder text,
    leased_until timestamptz,
    detail text NOT NULL DEFAULT '',
    -- the record, and until when nobody asks again
    found bytea,
    fresh_until timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inquiries_changed_idx ON inquiries (changed_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON questions, inquiries TO rps_serving;
