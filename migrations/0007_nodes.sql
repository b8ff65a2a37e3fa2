-- What two linked nodes need to know of each other. Operational state, not history:
-- nothing here is rebuilt from the log, and nothing is lost with it. Before the code.

-- The other node as it told itself, and when it was heard last.
CREATE TABLE peers (
    domain text NOT NULL,
    system text NOT NULL,
    heard_at timestamptz NOT NULL,
    said jsonb NOT NULL,
    PRIMARY KEY (domain, system)
);

-- Messages of other nodes whose receipt said: not done yet. They are told when it is,
-- and ask by themselves once in a while.
CREATE TABLE owed_receipts (
    domain text NOT NULL,
    system text NOT NULL,
    message_id text NOT NULL,
    told text NOT NULL,
    PRIMARY KEY (domain, system, message_id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON peers, owed_receipts TO rps_serving;
