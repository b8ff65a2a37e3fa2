"""The messages and the application that the tests of the push connector share."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from loopback_server import Line, LoopbackServer, Received, Respond, answer

from rps.connectors.push import PushConnector
from rps.connectors.signature import new_secret
from rps.domain.delivery import Capabilities, Connector, JournalEntry, Write

if TYPE_CHECKING:
    from rps.connectors.transport import Transport

SECRET = new_secret(b"s" * 32)
OLD_SECRET = new_secret(b"o" * 32)
NOW = 1_760_000_000.7
FULL = Capabilities(dedupe=True, conditional_write=True, read_back=True)
BARE = Capabilities(dedupe=False, conditional_write=False, read_back=False)
CONDITIONAL = Capabilities(dedupe=False, conditional_write=True, read_back=True)
READABLE = Capabilities(dedupe=False, conditional_write=False, read_back=True)

UPDATE = Write(
    delivery_id="0199c0de-0000-7000-8000-000000000001",
    correlation_id="c-1",
    process_event="incident",
    operation="update",
    table="tickets",
    record_id="42",
    if_match="7",
    fields={"title": "Müller", "priority": 2, "assignee": None},
    entries=(JournalEntry("e-1", "comments", "hello", "ann", "2025-10-09"),),
    origin=("acme/jira", "hub,2"),
    hop=3,
)
CREATE = replace(UPDATE, operation="create", record_id=None, if_match=None)


def push(
    transport: Transport, server: LoopbackServer, capabilities: Capabilities = FULL
) -> Connector:
    return PushConnector(
        transport,
        url=f"{server.url}/hooks/",
        secrets=[SECRET, OLD_SECRET],
        capabilities=capabilities,
        clock=lambda: NOW,
        random_bytes=bytes,
    )


def said(status: int, value: object = None) -> Respond:
    body = b"" if value is None else json.dumps(value).encode()
    return answer(status, body)


def close(_line: Line, _: Received) -> bool:
    return False
