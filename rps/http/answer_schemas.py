"""What the API answers, as JSON Schema for OpenAPI."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer"}
_YES: Json = {"type": "boolean"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_MOMENT_OR_NOT: Json = {"type": ["string", "null"], "format": "date-time"}
_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT_OR_NOT: Json = {"type": ["string", "null"]}
_ANY_OBJECT: Json = {"type": "object"}
_STATUS: Json = {
    "type": "string",
    "enum": ["ready", "processed", "error", "skipped", "uncertain"],
}


def _object(required: str, **properties: Json) -> Json:
    """`required` names properties, apart by spaces; more may be added to answers."""
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
    }


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _of(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_COUNTS: Json = {"type": "object", "additionalProperties": _WHOLE}
_WAITS: Json = _object("why", why=_TEXT, message_id=_UUID, sequence=_WHOLE)
_RECEIPT = _object(
    "change_id status correlations",
    change_id=_TEXT,
    status={"type": "string", "enum": ["captured", "duplicate", "not_captured"]},
    correlations=_list(
        _object(
            "correlation_id process_event position",
            correlation_id=_UUID,
            process_event=_TEXT,
            position=_WHOLE,
        )
    ),
    reason=_TEXT,
)
_MESSAGE = _object(
    "message_id member status attempts",
    message_id=_UUID,
    member=_TEXT,
    system=_TEXT,
    table=_TEXT,
    operation=_TEXT,
    status=_STATUS,
    attempts=_WHOLE,
    due_at=_MOMENT_OR_NOT,
    detail=_TEXT,
    made_at=_MOMENT,
    settled_at=_MOMENT_OR_NOT,
)
_INBOUND: dict[str, Json] = {
    "correlation_id": _UUID,
    "sequence": _WHOLE,
    "position": _WHOLE,
    "process_event": _TEXT,
    "member": _TEXT,
    "system": _TEXT,
    "table": _TEXT,
    "record_id": _TEXT,
    "operation": _TEXT,
    "status": _STATUS,
    "detail": _TEXT,
    "captured_at": _MOMENT,
    "settled_at": _MOMENT_OR_NOT,
}
_STATE: dict[str, Json] = {
    "correlation_id": _UUID,
    "process_event": _TEXT,
    "state": {"type": "string", "enum": ["new", "active", "inactive"]},
    "version": _WHOLE,
    "shared_version": _WHOLE,
    "position": _WHOLE,
    "changed_at": _MOMENT,
    "conflicts": _WHOLE,
    "fields": _ANY_OBJECT,
    "links": _ANY_OBJECT,
    "attachments": _list(
        _object(
            "id name size type sha256 version system members",
            id=_TEXT,
            name=_TEXT,
            size=_WHOLE,
            type=_TEXT,
            sha256=_TEXT,
            version=_WHOLE,
            system=_TEXT,
            deleted=_YES,
            members=_list(_TEXT),
        )
    ),
    "unlinked": _list(_TEXT),
    "pending": _list(_ANY_OBJECT),
}

_AUTHOR: Json = {
    "type": ["object", "null"],
    "properties": {"member": _TEXT, "change_id": _TEXT, "who": _TEXT, "at": _TEXT},
}
_CONFLICT = _object(
    "id correlation_id member field state policy base mine theirs",
    id=_WHOLE,
    correlation_id=_UUID,
    process_event=_TEXT_OR_NOT,
    member=_TEXT,
    field=_TEXT,
    state={"type": "string", "enum": ["open", "resolved", "superseded", "decided"]},
    policy=_TEXT,
    winner=_TEXT,
    base={},
    mine={},
    theirs={},
    value={},
    change_id=_TEXT,
    opened_at=_MOMENT,
    resolved_at=_MOMENT_OR_NOT,
    actor=_TEXT,
    reason=_TEXT,
    mine_by=_AUTHOR,
    theirs_by=_AUTHOR,
    now=_object("mine theirs", mine={}, theirs={}),
)

_FINDING = _object(
    "code place cause remedy",
    code=_TEXT,
    place=_TEXT,
    cause=_TEXT,
    remedy=_TEXT,
    line={"type": ["integer", "null"]},
    column={"type": ["integer", "null"]},
)

SCHEMAS: dict[str, Json] = {
    "Problem": _object(
        "type title status detail instance",
        type=_TEXT,
        title=_TEXT,
        status=_WHOLE,
        detail=_TEXT,
        instance=_TEXT,
        place=_TEXT,
    ),
    "Bytes": {"type": "string", "format": "binary"},
    "AttachmentStanding": _object(
        "sha256 size stored complete",
        sha256=_TEXT,
        size=_WHOLE,
        stored=_WHOLE,
        complete=_YES,
    ),
    "Receipt": _RECEIPT,
    "Receipts": {
        "oneOf": [
            _of("Receipt"),
            _object("receipts", receipts=_list(_of("Receipt"))),
        ]
    },
    "ChangeProgress": _object(
        "change_id state changes",
        change_id=_TEXT,
        state={
            "type": "string",
            "enum": [
                "waiting",
                "delivered",
                "error",
                "accepted",
                "ignored",
                "skipped",
            ],
        },
        changes=_list(_object("status messages", **_INBOUND, messages=_list(_MESSAGE))),
    ),
    "Definition": _object(
        "process_event state revision version",
        process_event=_TEXT,
        domain=_TEXT,
        state={"type": "string", "enum": ["draft", "published", "retired"]},
        revision=_WHOLE,
        unpublished=_YES,
        version=_WHOLE,
        changed_at=_MOMENT,
        document=_ANY_OBJECT,
        published={"type": ["object", "null"]},
        source=_TEXT,
    ),
    "Definitions": _object("definitions", definitions=_list(_of("Definition"))),
    "Revision": _object(
        "revision document source",
        revision=_WHOLE,
        document=_ANY_OBJECT,
        source=_TEXT,
    ),
    "Revisions": _object(
        "revisions",
        revisions=_list(
            _object(
                "revision kind at actor reason rolled_back_to",
                revision=_WHOLE,
                kind={
                    "type": "string",
                    "enum": ["published", "rolled back", "retired"],
                },
                at=_MOMENT,
                actor=_TEXT,
                reason=_TEXT,
                rolled_back_to={"type": ["integer", "null"]},
            )
        ),
    ),
    "Scan": _object(
        "problems warnings",
        problems=_list(_FINDING),
        warnings=_list(_FINDING),
    ),
    "System": _object(
        "name state fault version",
        name=_TEXT,
        domain=_TEXT,
        connector=_TEXT,
        description=_TEXT,
        settings=_ANY_OBJECT,
        state={"type": "string", "enum": ["disabled", "active", "paused"]},
        fault=_TEXT,
        breaker={"type": ["object", "null"]},
        queues=_object("inbound outbound", inbound=_COUNTS, outbound=_COUNTS),
        peer={
            "type": ["object", "null"],
            "description": "of a linked node: when it was heard, and what it said",
            "properties": {"heard_at": _MOMENT, "state": _TEXT, "knows": _ANY_OBJECT},
        },
        version=_WHOLE,
        changed_at=_MOMENT,
        secret=_TEXT,
    ),
    "Systems": _object("systems", systems=_list(_of("System"))),
    "NodeReceipts": _object(
        "receipts",
        receipts=_list(
            _object(
                "id status",
                id=_TEXT,
                status=_WHOLE,
                record_id=_TEXT,
                revision=_TEXT_OR_NOT,
                judged=_YES,
                detail=_TEXT,
                record=_ANY_OBJECT,
            )
        ),
    ),
    "NodeRecord": _object(
        "record_id revision fields deleted",
        record_id=_UUID,
        revision=_TEXT,
        fields=_ANY_OBJECT,
        deleted=_YES,
    ),
    "Hook": _object(
        "status",
        status={
            "type": "string",
            "enum": ["captured", "duplicate", "not_captured", "noted", "ignored"],
            "description": "noted: the record is read in a moment",
        },
    ),
    "NodeStanding": _object(
        "protocol state knows",
        protocol=_WHOLE,
        state=_TEXT,
        knows=_ANY_OBJECT,
        secret=_TEXT,
        unreached=_TEXT,
    ),
    "Account": _object(
        "name roles tokens",
        name=_TEXT,
        domain=_TEXT,
        roles=_list(_TEXT),
        tokens=_list(
            _object("token_id expires_at", token_id=_TEXT, expires_at=_MOMENT)
        ),
        version=_WHOLE,
        changed_at=_MOMENT,
    ),
    "Accounts": _object("accounts", accounts=_list(_of("Account"))),
    "Token": _object(
        "token token_id expires_at", token=_TEXT, token_id=_TEXT, expires_at=_MOMENT
    ),
    "Domain": _object("path", path=_TEXT, description=_TEXT, version=_WHOLE),
    "Domains": _object("domains", domains=_list(_of("Domain"))),
    "CorrelationState": _object("correlation_id state", **_STATE, as_of=_ANY_OBJECT),
    "Correlation": _object(
        "correlation_id state lanes", **_STATE, lanes=_list(_ANY_OBJECT)
    ),
    "Correlations": _object(
        "correlations",
        correlations=_list(_object("correlation_id", correlation_id=_UUID)),
    ),
    "Timeline": _object(
        "events",
        events=_list(
            _object(
                "position version at topic summary fields",
                position=_WHOLE,
                version=_WHOLE,
                at=_MOMENT,
                topic=_TEXT,
                summary=_TEXT,
                fields=_ANY_OBJECT,
            )
        ),
    ),
    "InboundEntries": _object(
        "entries",
        entries=_list(_object("status", **_INBOUND, change_id=_TEXT, waits_for=_WAITS)),
    ),
    "OutboundEntries": _object(
        "entries",
        entries=_list(
            {
                **_MESSAGE,
                "properties": {
                    **_MESSAGE["properties"],
                    "correlation_id": _UUID,
                    "sequence": _WHOLE,
                    "place": _WHOLE,
                    "process_event": _TEXT,
                    "definition_revision": _WHOLE,
                    "change_id": _TEXT,
                    "replay_id": {"type": ["string", "null"], "format": "uuid"},
                    "generation": _WHOLE,
                    "waits_for": _WAITS,
                },
            }
        ),
    ),
    "Conflict": _CONFLICT,
    "Conflicts": _object("conflicts", conflicts=_list(_of("Conflict"))),
    "Done": _object("result", result=_TEXT, message_id=_UUID),
    "Results": _object(
        "results",
        results=_list(_object("message_id result", message_id=_UUID, result=_TEXT)),
    ),
    "Replay": _object(
        "replay_id state lane_count lanes messages",
        replay_id=_UUID,
        state={
            "type": "string",
            "enum": ["planned", "started", "completed", "cancelled"],
        },
        reason=_TEXT,
        planned_by=_TEXT,
        selector=_ANY_OBJECT,
        lane_count=_WHOLE,
        lanes=_list(
            _object(
                "correlation_id member operation fields entries",
                correlation_id=_UUID,
                member=_TEXT,
                operation=_TEXT_OR_NOT,
                fields=_ANY_OBJECT,
                entries=_WHOLE,
            )
        ),
        sent=_WHOLE,
        messages=_COUNTS,
        version=_WHOLE,
        changed_at=_MOMENT,
    ),
}
"""By name; a route's `answer` names one."""
