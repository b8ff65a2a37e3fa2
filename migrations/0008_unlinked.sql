-- Records that were unlinked, and from what: what they do afterwards belongs there, to be
-- ignored, and opens no correlation of its own. A record that was linked again since is
-- in `links`, which counts. Before the code.

CREATE TABLE unlinked (
    domain text NOT NULL,
    definition uuid NOT NULL,
    member text NOT NULL,
    record_id text NOT NULL,
    correlation_id uuid NOT NULL,
    PRIMARY KEY (domain, definition, member, record_id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON unlinked TO rps_serving;
