"""What the API answers about the audit, as JSON Schema for OpenAPI."""

from __future__ import annotations

from rps.http.schema_words import (
    ANY_OBJECT,
    MOMENT,
    TEXT,
    UUID,
    WHOLE,
    Json,
    list_of,
    named,
    object_of,
)

_HASH: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_NOTE: Json = {"type": "string", "description": "a signed note: c2sp.org/signed-note"}
_KEY: Json = {"type": "string", "description": "name+id+base64, as notes write keys"}
_CHECKPOINT = object_of(
    "size root note made_at witnesses",
    size=WHOLE,
    root=_HASH,
    note=_NOTE,
    made_at=MOMENT,
    witnesses={
        "type": "array",
        "description": "linked nodes that countersigned it: c2sp.org/tlog-cosignature",
        "items": object_of("system key line", system=TEXT, key=_KEY, line=TEXT),
    },
)
_EVENT = object_of(
    "position stream version topic at hash event",
    position=WHOLE,
    stream=UUID,
    version=WHOLE,
    topic=TEXT,
    at=MOMENT,
    hash=_HASH,
    previous={**_HASH, "description": "of the event before; where events are proven"},
    proof={**list_of(_HASH), "description": "RFC 9162, from the event to the root"},
    event=ANY_OBJECT,
)
SCHEMAS: dict[str, Json] = {
    "AuditLine": {
        "oneOf": [
            _EVENT,
            object_of("key succession", key=_KEY, succession=TEXT),
            object_of("checkpoint", checkpoint=_NOTE),
            object_of(
                "after",
                after=object_of(
                    "position hash tree",
                    position=WHOLE,
                    hash=_HASH,
                    tree=list_of(_HASH),
                ),
            ),
            object_of("selection", selection=ANY_OBJECT),
            object_of(
                "head", head=object_of("position hash", position=WHOLE, hash=_HASH)
            ),
            object_of("end", end=object_of("events", events=WHOLE)),
        ]
    },
    "AuditCheckpoint": _CHECKPOINT,
    "AuditCheckpoints": object_of(
        "checkpoints keys",
        checkpoints=list_of(named("AuditCheckpoint")),
        keys=list_of(
            object_of(
                "key succession made_at", key=_KEY, succession=TEXT, made_at=MOMENT
            )
        ),
    ),
    "AuditReads": object_of(
        "reads",
        reads=list_of(
            object_of(
                "number at domain reader via place what object",
                number=WHOLE,
                at=MOMENT,
                domain=TEXT,
                reader=TEXT,
                via={"type": "string", "enum": ["api", "command"]},
                place=TEXT,
                what=TEXT,
                object=TEXT,
            )
        ),
    ),
    "NodeCheckpoint": object_of(
        "state",
        state={"type": "string", "enum": ["taken", "older", "refused"]},
        size=WHOLE,
        key=_KEY,
        cosignature=TEXT,
        detail=TEXT,
    ),
}
