-- The indexes over all open entries are for lists and counts, which say `domain <> ''`.
-- A lane's head must never be looked for in them: where nothing was open when the tables
-- were analyzed, the planner takes them for empty, and each look went through a whole
-- backlog. Before the code.

DROP INDEX inbound_queue_open_idx;
CREATE INDEX inbound_queue_open_idx ON inbound_queue (domain, status, "position")
WHERE status IN ('ready', 'error') AND domain <> '';

DROP INDEX outbound_queue_open_idx;
CREATE INDEX outbound_queue_open_idx ON outbound_queue (domain, status, sequence, place)
WHERE status IN ('ready', 'error', 'uncertain') AND domain <> '';
