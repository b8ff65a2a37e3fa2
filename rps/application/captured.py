"""A change as the event it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from rps.domain.aggregate import event_of
from rps.domain.events import ChangeCaptured
from rps.log.append import NEXT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from rps.application.configuration import Route


@dataclass(frozen=True, slots=True)
class Poster:
    """Who hands changes in, and under which idempotency key if any."""

    domain: str
    account: str
    idempotency_key: str | None = None
    request_fingerprint: str = ""
    trace_id: str = ""
    source: str = "api"


def in_common_of(poster: Poster, route: Route, now: datetime) -> dict[str, Any]:
    """The fields of ChangeCaptured in their order, with what all changes of a request
    that take `route` have in common."""
    return {
        "originator_id": None,
        "originator_version": NEXT,
        "timestamp": now,
        "domain": poster.domain,
        "definition": str(route.definition_id),
        "process_event": route.definition.process_event,
        "revision": route.revision,
        "member": route.member.name,
        "system": route.member.system,
        "table": route.member.table,
        "record_id": "",
        "operation": "",
        "change_id": "",
        "record_revision": None,
        "fields": {},
        "before": {},
        "entries": [],
        "changed_by": "",
        "changed_at": "",
        "external_id": None,
        "origin": [],
        "hop": 0,
        "source": poster.source,
        "account": poster.account,
        "idempotency_key": poster.idempotency_key,
        "fingerprint": "",
        "request_fingerprint": poster.request_fingerprint,
        "trace_id": poster.trace_id,
        "sequence": 0,
        "if_match": None,
        "attachments": [],
    }


_REQUIRED = ("record_id", "operation", "change_id")
_OPTIONAL = (
    "fields",
    "before",
    "entries",
    "attachments",
    "changed_by",
    "changed_at",
    "origin",
    "hop",
    "if_match",
)
"""Where empty or null, the same as left out."""


def captured(
    in_common: Mapping[str, Any], change: Mapping[str, Any], correlation_id: UUID
) -> ChangeCaptured:
    fields = dict(in_common)
    fields["originator_id"] = correlation_id
    for name in _REQUIRED:
        fields[name] = change[name]
    for name in _OPTIONAL:
        if given := change.get(name):
            fields[name] = given
    fields["record_revision"] = change.get("revision")
    fields["external_id"] = change.get("external_id")
    fields["fingerprint"] = fingerprint(change)
    return event_of(ChangeCaptured, fields)


_LEARNT = ("if_match", "external_id")
"""What another node may know better when it sends the same message again."""


def fingerprint(change: Mapping[str, Any]) -> str:
    """What tells a change from another one with the same id."""
    if "if_match" in change:
        change = {name: told for name, told in change.items() if name not in _LEARNT}
    body = orjson.dumps(change, option=orjson.OPT_SORT_KEYS)
    return blake2b(body, digest_size=16).hexdigest()
