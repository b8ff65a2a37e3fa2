"""What tests of trials and executions share: systems on a wire, other definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from api_node import DOCUMENT
from jsonschema import Draft202012Validator

from rps.connectors.push import PushConnector
from rps.connectors.signature import new_secret
from rps.connectors.transport import Answer, NotSent
from rps.domain import events
from rps.domain.delivery import Capabilities

if TYPE_CHECKING:
    from uuid import UUID

    from api_node import Answered, Node

    from rps.connectors.transport import Request

DRY_RUN = "/v1/definitions/incident.shared/dry-run"
WHAT_IF = "/v1/definitions/incident.shared/what-if"
FULL = Capabilities(dedupe=True, conditional_write=True, read_back=True)
SECRET = new_secret(b"s" * 32)


class Wire:
    """Systems that show records and count what is written to them."""

    def __init__(self) -> None:
        self.written: list[Request] = []
        self.records: dict[str, Any] = {}
        self.is_away = False
        self.asked = 0

    def connector(self, system: Any) -> PushConnector:
        return PushConnector(
            self,  # type: ignore[arg-type]
            url=system.settings["url"],
            secrets=[SECRET],
            capabilities=FULL,
        )

    def send(self, request: Request) -> Any:
        self.asked += 1
        if request.method != "GET":
            self.written.append(request)
        if self.is_away:
            return NotSent("nobody listens there")
        shown = self.records.get(request.url.rpartition("/")[2])
        if shown is None:
            return Answer(404, {}, b"{}", 0.0)
        return Answer(200, {}, orjson.dumps(shown), 0.0)


def with_values(name: str, values: dict[str, str]) -> dict[str, Any]:
    """The document, with other words of globex for a choice."""
    members = DOCUMENT["members"]
    fields = members["globex"]["fields"] | {name: {"field": name, "values": values}}
    return {
        **DOCUMENT,
        "members": {**members, "globex": {**members["globex"], "fields": fields}},
    }


OTHER = with_values("state", {"new": "open", "done": "shut"})
CONDITION = {
    **DOCUMENT,
    "members": {
        **DOCUMENT["members"],
        "acme": {**DOCUMENT["members"]["acme"], "capture_when": "state=6"},
    },
}


def checked(node: Node, name: str, answered: Answered) -> Any:
    """The answer, once it is what OpenAPI says of it."""
    assert answered.status == 200, answered.bytes
    document = node.get("/v1/openapi.json")
    schema = {
        "$ref": f"#/components/schemas/{name}",
        "components": document["components"],
    }
    Draft202012Validator(schema).validate(answered.json)
    return answered.json


def definition_id(node: Node) -> str:
    return str(next(iter(node.application.configuration.current.revisions)))


def linked(node: Node, key: UUID) -> None:
    """At globex the record is T1, and it has taken the first message."""
    node.tell(
        key,
        events.CorrelationLinked,
        definition=definition_id(node),
        member="globex",
        system="globex",
        table="ticket",
        record_id="T1",
        record_revision=None,
    )
    node.acknowledge(key)
