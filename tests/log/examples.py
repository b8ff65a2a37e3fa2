"""One valid example of every event that can be in a log.

A field has one value wherever it stands; a new field needs a line in FIELDS, and then
`python tests/log/golden.py` writes the bytes of its event.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import rps.domain
from rps.domain.aggregate import Event

STREAM = UUID("0b7c7e6a-9f0e-5a52-8a52-3a1f6f7c6d99")
DEFINITION = "5a1f6f7c-6d01-5b52-9a52-6f1d6c1e2f0b"
MESSAGE = "c0ffee00-0000-5000-8000-000000000001"
ENTRY = {
    "id": "acme:17",
    "journal": "comments",
    "text": "Grüße, 世界 \U0001f41f",
    "author": "ada",
    "written_at": "2026-01-02T03:04:05Z",
}
ATTACHMENT = {
    "id": "acme:att1",
    "name": "Grüße 世界.png",
    "size": 3_141_592,
    "type": "image/png",
    "sha256": "2" * 64,
    "version": 1,
    "system": "acme",
}
OUTGOING = {
    "message_id": MESSAGE,
    "member": "zenith",
    "system": "zenith",
    "table": "case",
    "operation": "update",
    "fields": {"title": "Printer \u0022on fire\u0022", "weight": 1.5},
    "versions": {"title": 3, "weight": 2},
    "entries": [ENTRY],
    "origin": ["acme"],
    "hop": 1,
}
DOCUMENT = {
    "process_event": "incident",
    "fields": {"title": {"type": "text"}},
    "members": {
        "acme": {"table": "incident", "fields": {"title": "short_description"}},
        "zenith": {"table": "case", "fields": {"title": "subject"}},
    },
}
FIELDS: dict[str, Any] = {
    "originator_id": STREAM,
    "originator_version": 3,
    "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "domain": "top/acme",
    "about": ["conflict.opened", "message.parked"],
    "account": "importer",
    "action": "retry",
    "actor": "ada",
    "agreed": {"title": 3},
    "answer": {"value": "ada@acme.example", "seconds": 0.25},
    "answers": {"[]": {"value": "ada@acme.example"}},
    "ask_at": "2026-01-02T03:04:10+00:00",
    "attachment": ATTACHMENT,
    "attachments": [ATTACHMENT, {**ATTACHMENT, "id": "acme:att2", "deleted": True}],
    "attempt": 2,
    "base": None,
    "bases": {"title": "Printer"},
    "before": {"short_description": "Printer", "tags": ["a", "b"]},
    "change_id": "change-1",
    "changed_at": "2026-01-02T03:04:05Z",
    "changed_by": "ada",
    "claim": "email",
    "client_id": "rps",
    "complete": True,
    "connector": "push",
    "context": {"note": "second floor"},
    "definition": DEFINITION,
    "definition_revision": 2,
    "delivery_id": MESSAGE,
    "description": "Their tracker",
    "detail": "the record is locked",
    "document": DOCUMENT,
    "done": 11,
    "entries": [ENTRY],
    "entry_count": 12,
    "entry_id": "rps:7c6d0100-0000-5000-8000-000000000003",
    "entry_ids": ["acme:17"],
    "expires_at": "2026-04-02T03:04:05+00:00",
    "external_id": None,
    "field": "title",
    "fields": {"short_description": "Printer on fire", "weight": 1.5, "urgent": True},
    "fingerprint": "00112233445566778899aabbccddeeff",
    "generation": 1,
    "given_by": "zenith",
    "holds": True,
    "hop": 0,
    "idempotency_key": "key-1",
    "if_match": "7",
    "issuer": "https://id.acme.example",
    "judged": True,
    "kind": "retryable",
    "lanes": [
        {
            "correlation_id": str(STREAM),
            "member": "zenith",
            "fields": ["title"],
            "entries": [ENTRY],
        }
    ],
    "late": ["weight"],
    "missed": {"weight": "1.5"},
    "member": "zenith",
    "message": OUTGOING,
    "message_id": MESSAGE,
    "messages": [OUTGOING],
    "mine": "Printer",
    "name": "zenith",
    "operation": "update",
    "origin": ["acme"],
    "policy": "newest",
    "process_event": "incident",
    "provider": "top/corporate",
    "question": {
        "step": "who it is",
        "kind": "lookup",
        "member": "zenith",
        "asked": {"table": "users", "by": "login", "value": "ada", "take": "mail"},
    },
    "question_id": "7c6d0100-0000-5000-8000-000000000004",
    "queue": "outbound",
    "reason": "asked for by their side",
    "record_id": "CASE-1",
    "record_revision": "8",
    "replay_id": "7c6d0100-0000-5000-8000-000000000002",
    "request_fingerprint": "ffeeddccbbaa99887766554433221100",
    "request_sha256": "0" * 64,
    "response": '{"id": "CASE-1"}',
    "retry_at": "2026-01-02T03:04:35+00:00",
    "revision": 2,
    "role": "operator",
    "rolled_back_to": 1,
    "scopes": "openid email",
    "seconds": 0.25,
    "seen": [{"id": "acme:att1", "as": "att1", "sha256": "2" * 64}],
    "selector": {"system": "zenith"},
    "sent": 12,
    "sequence": 41,
    "settled": 1,
    "settings": {"url": "https://zenith.example/rps", "secrets": ["zenith"]},
    "settled_by": "answer",
    "sha256": "1" * 64,
    "source": "api",
    "stamp": [1767323045000, 0],
    "stamps": {"title": [1767323045000, 0]},
    "status": 200,
    "step": "who it is",
    "stored": {"title": "Printer on fire"},
    "superseded": False,
    "system": "zenith",
    "table": "case",
    "text": "Printer on fire at Acme",
    "theirs": "Printer on fire",
    "token_id": "tok1",
    "until": 41,
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "value": "on fire",
    "values": {"title": "Printer on fire"},
    "version": 3,
    "versions": {"title": 3},
    "waits": True,
    "winner": "theirs",
}


def kinds() -> dict[str, type[Event]]:
    """Every event class of the domain by its topic."""
    for module in pkgutil.iter_modules(rps.domain.__path__):
        importlib.import_module(f"rps.domain.{module.name}")
    found: dict[str, type[Event]] = {}
    waiting = Event.__subclasses__()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found[kind.TOPIC] = kind
    return dict(sorted(found.items()))


def example(topic: str, **changes: Any) -> Any:
    """The example of `topic`, with what a test cares about changed."""
    kind: Any = kinds()[topic]
    return kind(**{f.name: FIELDS[f.name] for f in fields(kind)} | changes)
