"""What the API answers, as JSON Schema for OpenAPI."""

from __future__ import annotations

from rps.http.schema_words import (
    ANY_OBJECT,
    MOMENT,
    MOMENT_OR_NOT,
    STATUS,
    TEXT,
    TEXT_OR_NOT,
    UUID,
    WHOLE,
    YES,
    Json,
    list_of,
    named,
    object_of,
)

_COUNTS: Json = {"type": "object", "additionalProperties": WHOLE}
_WAITS: Json = object_of("why", why=TEXT, message_id=UUID, sequence=WHOLE)
_RECEIPT = object_of(
    "change_id status correlations",
    change_id=TEXT,
    status={"type": "string", "enum": ["captured", "duplicate", "not_captured"]},
    correlations=list_of(
        object_of(
            "correlation_id process_event position",
            correlation_id=UUID,
            process_event=TEXT,
            position=WHOLE,
        )
    ),
    reason=TEXT,
)
_MESSAGE = object_of(
    "message_id member status attempts",
    message_id=UUID,
    member=TEXT,
    system=TEXT,
    table=TEXT,
    operation=TEXT,
    status=STATUS,
    attempts=WHOLE,
    due_at=MOMENT_OR_NOT,
    detail=TEXT,
    made_at=MOMENT,
    settled_at=MOMENT_OR_NOT,
)
_INBOUND: dict[str, Json] = {
    "correlation_id": UUID,
    "sequence": WHOLE,
    "position": WHOLE,
    "process_event": TEXT,
    "member": TEXT,
    "system": TEXT,
    "table": TEXT,
    "record_id": TEXT,
    "operation": TEXT,
    "status": STATUS,
    "detail": TEXT,
    "captured_at": MOMENT,
    "settled_at": MOMENT_OR_NOT,
}
_STATE: dict[str, Json] = {
    "correlation_id": UUID,
    "process_event": TEXT,
    "state": {"type": "string", "enum": ["new", "active", "inactive"]},
    "version": WHOLE,
    "shared_version": WHOLE,
    "position": WHOLE,
    "changed_at": MOMENT,
    "conflicts": WHOLE,
    "fields": ANY_OBJECT,
    "links": ANY_OBJECT,
    "attachments": list_of(
        object_of(
            "id name size type sha256 version system members",
            id=TEXT,
            name=TEXT,
            size=WHOLE,
            type=TEXT,
            sha256=TEXT,
            version=WHOLE,
            system=TEXT,
            deleted=YES,
            members=list_of(TEXT),
        )
    ),
    "unlinked": list_of(TEXT),
    "pending": list_of(ANY_OBJECT),
}

_AUTHOR: Json = {
    "type": ["object", "null"],
    "properties": {"member": TEXT, "change_id": TEXT, "who": TEXT, "at": TEXT},
}
_CONFLICT = object_of(
    "id correlation_id member field state policy base mine theirs",
    id=WHOLE,
    correlation_id=UUID,
    process_event=TEXT_OR_NOT,
    member=TEXT,
    field=TEXT,
    state={"type": "string", "enum": ["open", "resolved", "superseded", "decided"]},
    policy=TEXT,
    winner=TEXT,
    base={},
    mine={},
    theirs={},
    value={},
    change_id=TEXT,
    opened_at=MOMENT,
    resolved_at=MOMENT_OR_NOT,
    actor=TEXT,
    reason=TEXT,
    mine_by=_AUTHOR,
    theirs_by=_AUTHOR,
    now=object_of("mine theirs", mine={}, theirs={}),
)

_FINDING = object_of(
    "code place cause remedy",
    code=TEXT,
    place=TEXT,
    cause=TEXT,
    remedy=TEXT,
    line={"type": ["integer", "null"]},
    column={"type": ["integer", "null"]},
)

SCHEMAS: dict[str, Json] = {
    "Problem": object_of(
        "type title status detail instance",
        type=TEXT,
        title=TEXT,
        status=WHOLE,
        detail=TEXT,
        instance=TEXT,
        place=TEXT,
    ),
    "Bytes": {"type": "string", "format": "binary"},
    "AttachmentStanding": object_of(
        "sha256 size stored complete",
        sha256=TEXT,
        size=WHOLE,
        stored=WHOLE,
        complete=YES,
    ),
    "Receipt": _RECEIPT,
    "Receipts": {
        "oneOf": [
            named("Receipt"),
            object_of("receipts", receipts=list_of(named("Receipt"))),
        ]
    },
    "ChangeProgress": object_of(
        "change_id state changes",
        change_id=TEXT,
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
        changes=list_of(
            object_of("status messages", **_INBOUND, messages=list_of(_MESSAGE))
        ),
    ),
    "Definition": object_of(
        "process_event state revision version",
        process_event=TEXT,
        domain=TEXT,
        state={"type": "string", "enum": ["draft", "published", "retired"]},
        revision=WHOLE,
        unpublished=YES,
        version=WHOLE,
        changed_at=MOMENT,
        document=ANY_OBJECT,
        published={"type": ["object", "null"]},
        source=TEXT,
    ),
    "Definitions": object_of("definitions", definitions=list_of(named("Definition"))),
    "Revision": object_of(
        "revision document source",
        revision=WHOLE,
        document=ANY_OBJECT,
        source=TEXT,
    ),
    "Revisions": object_of(
        "revisions",
        revisions=list_of(
            object_of(
                "revision kind at actor reason rolled_back_to",
                revision=WHOLE,
                kind={
                    "type": "string",
                    "enum": ["published", "rolled back", "retired"],
                },
                at=MOMENT,
                actor=TEXT,
                reason=TEXT,
                rolled_back_to={"type": ["integer", "null"]},
            )
        ),
    ),
    "Scan": object_of(
        "problems warnings",
        problems=list_of(_FINDING),
        warnings=list_of(_FINDING),
    ),
    "System": object_of(
        "name state fault version",
        name=TEXT,
        domain=TEXT,
        connector=TEXT,
        description=TEXT,
        settings=ANY_OBJECT,
        state={"type": "string", "enum": ["disabled", "active", "paused"]},
        fault=TEXT,
        breaker={"type": ["object", "null"]},
        queues=object_of("inbound outbound", inbound=_COUNTS, outbound=_COUNTS),
        peer={
            "type": ["object", "null"],
            "description": "of a linked node: when it was heard, and what it said",
            "properties": {"heard_at": MOMENT, "state": TEXT, "knows": ANY_OBJECT},
        },
        version=WHOLE,
        changed_at=MOMENT,
        secret=TEXT,
    ),
    "Systems": object_of("systems", systems=list_of(named("System"))),
    "NodeReceipts": object_of(
        "receipts",
        receipts=list_of(
            object_of(
                "id status",
                id=TEXT,
                status=WHOLE,
                record_id=TEXT,
                revision=TEXT_OR_NOT,
                judged=YES,
                detail=TEXT,
                record=ANY_OBJECT,
            )
        ),
    ),
    "NodeRecord": object_of(
        "record_id revision fields deleted",
        record_id=UUID,
        revision=TEXT,
        fields=ANY_OBJECT,
        deleted=YES,
    ),
    "Hook": object_of(
        "status",
        status={
            "type": "string",
            "enum": ["captured", "duplicate", "not_captured", "noted", "ignored"],
            "description": "noted: the record is read in a moment",
        },
    ),
    "NodeStanding": object_of(
        "protocol state knows",
        protocol=WHOLE,
        state=TEXT,
        knows=ANY_OBJECT,
        secret=TEXT,
        unreached=TEXT,
    ),
    "Account": object_of(
        "name roles tokens",
        name=TEXT,
        domain=TEXT,
        roles=list_of(TEXT),
        tokens=list_of(
            object_of("token_id expires_at", token_id=TEXT, expires_at=MOMENT)
        ),
        version=WHOLE,
        changed_at=MOMENT,
    ),
    "Accounts": object_of("accounts", accounts=list_of(named("Account"))),
    "Token": object_of(
        "token token_id expires_at", token=TEXT, token_id=TEXT, expires_at=MOMENT
    ),
    "Domain": object_of("path", path=TEXT, description=TEXT, version=WHOLE),
    "Domains": object_of("domains", domains=list_of(named("Domain"))),
    "CorrelationState": object_of("correlation_id state", **_STATE, as_of=ANY_OBJECT),
    "Correlation": object_of(
        "correlation_id state lanes", **_STATE, lanes=list_of(ANY_OBJECT)
    ),
    "Correlations": object_of(
        "correlations",
        correlations=list_of(object_of("correlation_id", correlation_id=UUID)),
    ),
    "Timeline": object_of(
        "events",
        events=list_of(
            object_of(
                "position version at topic summary fields",
                position=WHOLE,
                version=WHOLE,
                at=MOMENT,
                topic=TEXT,
                summary=TEXT,
                fields=ANY_OBJECT,
            )
        ),
    ),
    "InboundEntries": object_of(
        "entries",
        entries=list_of(
            object_of("status", **_INBOUND, change_id=TEXT, waits_for=_WAITS)
        ),
    ),
    "OutboundEntries": object_of(
        "entries",
        entries=list_of(
            {
                **_MESSAGE,
                "properties": {
                    **_MESSAGE["properties"],
                    "correlation_id": UUID,
                    "sequence": WHOLE,
                    "place": WHOLE,
                    "process_event": TEXT,
                    "definition_revision": WHOLE,
                    "change_id": TEXT,
                    "replay_id": {"type": ["string", "null"], "format": "uuid"},
                    "generation": WHOLE,
                    "waits_for": _WAITS,
                },
            }
        ),
    ),
    "Conflict": _CONFLICT,
    "Conflicts": object_of("conflicts", conflicts=list_of(named("Conflict"))),
    "Done": object_of("result", result=TEXT, message_id=UUID),
    "Results": object_of(
        "results",
        results=list_of(object_of("message_id result", message_id=UUID, result=TEXT)),
    ),
    "Replay": object_of(
        "replay_id state lane_count lanes messages",
        replay_id=UUID,
        state={
            "type": "string",
            "enum": ["planned", "started", "completed", "cancelled"],
        },
        reason=TEXT,
        planned_by=TEXT,
        selector=ANY_OBJECT,
        lane_count=WHOLE,
        lanes=list_of(
            object_of(
                "correlation_id member operation fields entries",
                correlation_id=UUID,
                member=TEXT,
                operation=TEXT_OR_NOT,
                fields=ANY_OBJECT,
                entries=WHOLE,
            )
        ),
        sent=WHOLE,
        messages=_COUNTS,
        version=WHOLE,
        changed_at=MOMENT,
    ),
}
"""By name; a route's `answer` names one."""
