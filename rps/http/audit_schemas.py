"""What the API answers about the audit, as JSON Schema for OpenAPI."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_UUID: Json = {"type": "string", "format": "uuid"}
_HASH: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_NOTE: Json = {"type": "string", "description": "a signed note: c2sp.org/signed-note"}
_KEY: Json = {"type": "string", "description": "name+id+base64, as notes write keys"}


def _object(required: str, **properties: Json) -> Json:
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
    }


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


_CHECKPOINT = _object(
    "size root note made_at witnesses",
    size=_WHOLE,
    root=_HASH,
    note=_NOTE,
    made_at=_MOMENT,
    witnesses={
        "type": "array",
        "description": "linked nodes that countersigned it: c2sp.org/tlog-cosignature",
        "items": _object("system key line", system=_TEXT, key=_KEY, line=_TEXT),
    },
)
_EVENT = _object(
    "position stream version topic at hash event",
    position=_WHOLE,
    stream=_UUID,
    version=_WHOLE,
    topic=_TEXT,
    at=_MOMENT,
    hash=_HASH,
    previous={**_HASH, "description": "of the event before; where events are proven"},
    proof={**_list(_HASH), "description": "RFC 9162, from the event to the root"},
    event={"type": "object"},
)
SCHEMAS: dict[str, Json] = {
    "AuditLine": {
        "oneOf": [
            _EVENT,
            _object("key succession", key=_KEY, succession=_TEXT),
            _object("checkpoint", checkpoint=_NOTE),
            _object(
                "after",
                after=_object(
                    "position hash tree", position=_WHOLE, hash=_HASH, tree=_list(_HASH)
                ),
            ),
            _object("selection", selection={"type": "object"}),
            _object("head", head=_object("position hash", position=_WHOLE, hash=_HASH)),
            _object("end", end=_object("events", events=_WHOLE)),
        ]
    },
    "AuditCheckpoint": _CHECKPOINT,
    "AuditCheckpoints": _object(
        "checkpoints keys",
        checkpoints=_list({"$ref": "#/components/schemas/AuditCheckpoint"}),
        keys=_list(
            _object(
                "key succession made_at", key=_KEY, succession=_TEXT, made_at=_MOMENT
            )
        ),
    ),
    "AuditReads": _object(
        "reads",
        reads=_list(
            _object(
                "number at domain reader via place what object",
                number=_WHOLE,
                at=_MOMENT,
                domain=_TEXT,
                reader=_TEXT,
                via={"type": "string", "enum": ["api", "command"]},
                place=_TEXT,
                what=_TEXT,
                object=_TEXT,
            )
        ),
    ),
    "NodeCheckpoint": _object(
        "state",
        state={"type": "string", "enum": ["taken", "older", "refused"]},
        size=_WHOLE,
        key=_KEY,
        cosignature=_TEXT,
        detail=_TEXT,
    ),
}
