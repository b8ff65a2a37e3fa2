"""What the API takes and answers about trials and executions, as JSON Schema."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_TEXT_OR_NOT: Json = {"type": ["string", "null"]}
_WHOLE: Json = {"type": "integer"}
_YES: Json = {"type": "boolean"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_UUID: Json = {"type": "string", "format": "uuid"}
_OBJECT: Json = {"type": "object"}
_OBJECTS: Json = {"type": "array", "items": {"type": "object"}}
_SECONDS: Json = {"type": ["number", "null"], "minimum": 0}


def _object(required: str, **properties: Json) -> Json:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _or_not(schema: Json) -> Json:
    return {"oneOf": [schema, {"type": "null"}]}


_STEP = {
    **_object(
        "name kind place input output condition held detail error answer seconds",
        name=_TEXT,
        kind={
            "type": "string",
            "description": (
                "capture, condition, map, files, merge, verdict, constants; of flows"
                " also set, require, skip_when, lookup, create_if_missing, call, notify"
            ),
        },
        place={
            "type": "string",
            "description": "a JSON pointer into the definition document",
        },
        input={},
        output={},
        condition=_TEXT,
        held={"type": ["boolean", "null"]},
        detail=_TEXT,
        error=_TEXT,
        answer={},
        seconds=_SECONDS,
    ),
    "description": "`seconds` are measured as the step is taken again",
}
_FAULT = _or_not(
    _object(
        "step place line detail",
        step=_TEXT,
        place=_TEXT,
        line={"type": ["integer", "null"]},
        detail=_TEXT,
    )
)
_CHANGE = _object(
    "sequence at change_id member record_id operation fields",
    sequence=_WHOLE,
    at=_MOMENT,
    change_id=_TEXT,
    member=_TEXT,
    system=_TEXT,
    table=_TEXT,
    record_id=_TEXT,
    operation=_TEXT,
    revision=_TEXT_OR_NOT,
    changed_by=_TEXT,
    changed_at=_TEXT,
    source=_TEXT,
    fields=_OBJECT,
    entries=_OBJECTS,
)
_JUDGEMENT = _object(
    "at revision outcome reason as_recorded steps messages error",
    at=_MOMENT,
    revision=_WHOLE,
    outcome={"type": "string", "enum": ["accepted", "ignored", "failed"]},
    reason=_TEXT,
    as_recorded={
        "type": "boolean",
        "description": "whether judging again says what was recorded",
    },
    steps=_list(_STEP),
    messages=_list(_object("message_id member", message_id=_UUID, member=_TEXT)),
    error=_FAULT,
)
_ATTEMPT = _object(
    "attempt at delivery_id operation fields status seconds response as_sent outcome",
    attempt=_WHOLE,
    at=_MOMENT,
    delivery_id=_TEXT,
    operation=_TEXT,
    record_id=_TEXT_OR_NOT,
    if_match=_TEXT_OR_NOT,
    fields=_OBJECT,
    entry_ids=_list(_TEXT),
    request_sha256=_TEXT,
    status={"type": ["integer", "null"]},
    seconds={"type": "number", "description": "as recorded"},
    response={"type": "string", "description": "cut, secrets left out"},
    as_sent={
        "type": "boolean",
        "description": "whether the write made again is the one that was sent",
    },
    outcome=_or_not(
        _object("kind detail", kind=_TEXT, detail=_TEXT, retry_at=_TEXT_OR_NOT)
    ),
)
_DELIVERY = _object(
    "delivery_id generation made_at revision operation fields steps attempts error",
    delivery_id=_TEXT,
    generation=_WHOLE,
    made_at=_MOMENT,
    why=_TEXT,
    revision=_WHOLE,
    operation=_TEXT,
    fields=_OBJECT,
    versions=_OBJECT,
    steps=_list(_STEP),
    error=_FAULT,
    write={"type": ["object", "null"]},
    attempts=_list(_ATTEMPT),
)
_REQUEST = _or_not(
    _object(
        "method url headers body",
        method=_TEXT,
        url=_TEXT,
        headers={"type": "object", "additionalProperties": _TEXT},
        body=_TEXT,
    )
)
_TRIED = _object(
    "process_event domain revision source",
    process_event=_TEXT,
    domain=_TEXT,
    revision=_WHOLE,
    source=_TEXT,
)
_FIELD_DIFFERENCES = _list(
    _object("field recorded tried", field=_TEXT, recorded={}, tried={})
)
_OUTCOME = _object("kind reason", kind=_TEXT, reason=_TEXT)
_DIFFERENCE = _object(
    "correlation_id sequence position at change_id member record_id recorded tried"
    " shared messages",
    correlation_id=_UUID,
    sequence=_WHOLE,
    position=_WHOLE,
    at=_MOMENT,
    change_id=_TEXT,
    member=_TEXT,
    record_id=_TEXT,
    recorded=_OUTCOME,
    tried=_OUTCOME,
    shared=_FIELD_DIFFERENCES,
    messages=_list(
        _object(
            "kind message_id member fields",
            kind={
                "type": "string",
                "enum": ["missing", "extra", "operation", "values", "refused"],
            },
            message_id=_UUID,
            member=_TEXT,
            recorded_operation=_TEXT,
            tried_operation=_TEXT,
            detail=_TEXT,
            fields=_FIELD_DIFFERENCES,
        )
    ),
)

SCHEMAS: dict[str, Json] = {
    "MessageExecution": _object(
        "message_id correlation_id member made_by change judgement deliveries outcome"
        " error seconds",
        message_id=_UUID,
        correlation_id=_UUID,
        process_event=_TEXT,
        member=_TEXT,
        system=_TEXT,
        table=_TEXT,
        made_by=_object(
            "topic position at",
            topic=_TEXT,
            position=_WHOLE,
            at=_MOMENT,
            actor=_TEXT,
            reason=_TEXT,
        ),
        change=_or_not(_CHANGE),
        judgement=_or_not(_JUDGEMENT),
        deliveries=_list(_DELIVERY),
        outcome=_object("state at detail", state=_TEXT, at=_MOMENT, detail=_TEXT),
        error=_FAULT,
        seconds=_object(
            "captured_to_judged judged_to_sent sent_to_acknowledged in_all",
            captured_to_judged=_SECONDS,
            judged_to_sent=_SECONDS,
            sent_to_acknowledged=_SECONDS,
            in_all=_SECONDS,
        ),
    ),
    "ChangeExecution": _object(
        "correlation_id process_event change judgement error",
        correlation_id=_UUID,
        process_event=_TEXT,
        change=_CHANGE,
        judgement=_or_not(_JUDGEMENT),
        error=_FAULT,
    ),
    "DryRun": _object(
        "definition correlation_id shared notes change record outcome reason steps"
        " error messages",
        definition=_TRIED,
        correlation_id=_UUID,
        shared={"type": "boolean", "description": "whether others share it already"},
        notes=_list(_TEXT),
        change=_OBJECT,
        record=_or_not(
            _object(
                "read detail",
                read={"type": "string", "enum": ["system", "log"]},
                detail=_TEXT,
            )
        ),
        outcome={
            "type": "string",
            "enum": ["accepted", "ignored", "failed", "asked", "not_captured"],
        },
        reason=_TEXT,
        values=_OBJECT,
        steps=_list(_STEP),
        error=_FAULT,
        messages=_list(
            _object(
                "message_id member operation fields steps error request note",
                message_id=_UUID,
                member=_TEXT,
                system=_TEXT,
                table=_TEXT,
                operation=_TEXT,
                fields=_OBJECT,
                steps=_list(_STEP),
                error=_FAULT,
                write={"type": ["object", "null"]},
                request=_REQUEST,
                note=_TEXT,
            )
        ),
    ),
    "WhatIf": _object(
        "definition judged same different refused differences cursor",
        definition=_TRIED,
        judged=_WHOLE,
        same=_WHOLE,
        different=_WHOLE,
        refused=_WHOLE,
        differences=_list(_DIFFERENCE),
        cursor={
            "type": ["string", "null"],
            "description": "where to go on; null: the range is at its end",
        },
    ),
}
"""By name; a route's `answer` names one."""

_WHICH: dict[str, Json] = {
    "revision": {
        "type": "integer",
        "minimum": 1,
        "description": "a published one; left out, the draft is tried",
    },
    "document": {
        "type": "object",
        "description": "a document that is tried and not kept",
    },
}
DRY_RUN_BODY: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **_WHICH,
        "change": {"$ref": "#/components/schemas/Change"},
        "record": {
            **_object("system table record_id", system=_TEXT, table=_TEXT),
            "properties": {"system": _TEXT, "table": _TEXT, "record_id": _TEXT},
        },
        "as_new": {
            **_YES,
            "description": "as if nobody shared the record yet",
            "default": False,
        },
        "call_actions": {
            **_YES,
            "description": "actions of flows are called, too",
            "default": False,
        },
    },
}
WHAT_IF_BODY: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **_WHICH,
        "since": _MOMENT,
        "until": _MOMENT,
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200},
        "cursor": _TEXT,
    },
}
