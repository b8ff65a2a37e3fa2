"""Asks whether a definition can be reached under its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.domain.problem import shown

if TYPE_CHECKING:
    from rps.domain.agreement import Definition
    from rps.domain.problem import Findings

SCHEMA_NAME = "schema"
"""`GET /v1/definitions/schema` is what editors check documents by."""


def name_is_free(definition: Definition, found: Findings) -> None:
    if definition.process_event == SCHEMA_NAME:
        cause = f"{shown(SCHEMA_NAME)} is where the JSON Schema of definitions is"
        remedy = "choose another name, such as 'schema.shared'"
        found.add("reserved-name", "/process_event", cause, remedy)
