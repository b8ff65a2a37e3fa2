"""The JSON Schema of a flow: what `rps.domain.step_reading` reads."""

from __future__ import annotations

from rps.domain import step_reading as reading
from rps.domain.schema_kinds import Schema, literal, mapping, named, string, text, word
from rps.domain.section import MEMBER_NAME, REMOTE_NAME


def flow() -> Schema:
    """Steps in their order."""
    kinds = [
        _step("set", named(*_FIELDS, _clearable(), "field: a value, a text, null")),
        _step("require", text(reading.QUERY, "an encoded query that has to hold")),
        _step("skip_when", text(reading.QUERY, "an encoded query that may not hold")),
        _step("lookup", _asked()),
        _step("create_if_missing", _asked(creates=True)),
        _step("call", _called()),
        _step("notify", text(reading.TEXT, "what subscribers are told")),
    ]
    return {
        "type": "array",
        "description": "named steps, in their order",
        "maxItems": reading.STEPS_MAX,
        "items": {"anyOf": [{"const": "map"}, *kinds]},
        "contains": {"const": "map"},
        "minContains": 0,
        "maxContains": 1,
    }


_FIELDS = (REMOTE_NAME, reading.VALUES_MAX)
_OWN: dict[str, Schema] = {
    "otherwise": {**string(reading.PROSE), "description": "what people then read"},
    "missing": word(reading.MISSING, "what to do if nothing is found", default="fail"),
}


def _step(kind: str, said: Schema) -> Schema:
    own = {key: _OWN[key] for key in reading.OWN_KEYS[kind] if key in _OWN}
    required = ["name", kind]
    if "into" in reading.OWN_KEYS[kind]:
        field = text(REMOTE_NAME, "the field that gets it")
        fields = named(*_FIELDS, string(REMOTE_NAME), "by key of the answer: a field")
        own["into"] = {"anyOf": [field, fields]} if kind == "call" else field
        if kind != "call":
            required.append("into")
    keys = {
        "name": text(reading.STEP_NAME, "what people call it"),
        "when": text(reading.QUERY, "an encoded query: only if it holds"),
        kind: said,
        **own,
    }
    return mapping(keys, *required)


def _asked(*, creates: bool = False) -> Schema:
    keys = {
        "table": text(REMOTE_NAME, "where to look"),
        "by": text(REMOTE_NAME, "the field to find it by"),
        "value": text(reading.TEXT, "what the field holds: a text with {field} in it"),
        "take": text(REMOTE_NAME, "the field whose value is taken; else the id"),
        "at": text(MEMBER_NAME, "whose system is asked; else the flow's own"),
    }
    if creates:
        given = "what a new record is made with"
        keys["with"] = named(*_FIELDS, _clearable(), given)
    return mapping(keys, "table", "by", "value")


def _called() -> Schema:
    keys = {
        "action": text(reading.ACTION, "an action that the operator installed"),
        "with": named(*_FIELDS, _clearable(), "its arguments"),
        "seconds": _count(1, reading.SECONDS_MAX, "how long it may take"),
        "megabytes": _count(
            reading.MEGABYTES_MIN, reading.MEGABYTES_MAX, "how much memory it may take"
        ),
    }
    return {"anyOf": [string(reading.ACTION), mapping(keys, "action")]}


def _clearable() -> Schema:
    kinds = literal(reading.TEXT)
    return {"anyOf": [*kinds["anyOf"], {"type": "null"}]}


def _count(least: int, most: int, description: str) -> Schema:
    return {
        "type": "integer",
        "minimum": least,
        "maximum": most,
        "description": description,
    }
