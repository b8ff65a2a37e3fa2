"""Every route, called as its description allows and as it does not: nothing breaks, and
each answer is one that the OpenAPI document describes."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import schemathesis
from hostile import HEADERS, RAW, TEXTS, VALUES
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_node import Node

EXAMPLES = int(os.environ.get("RPS_DESCRIBED_EXAMPLES", "10"))
"""Requests a route and kind: by generated identifiers, and by those that there are."""
PARTS = 6
"""Of the routes: each is a test of its own, so that processes share the work."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LEAKS = (b"psycopg", b"SELECT ", b"Traceback", b"/rps/", b"site-packages")
NONE = "00000000-0000-4000-8000-000000000000"


class Described:
    """The routes of a node on which something is shared, is parked and in conflict."""

    def __init__(self, node: Node) -> None:
        self.node = node
        described = schemathesis.openapi.from_dict(node.get("/v1/openapi.json"))
        described.app = node.app
        self.operations = [found.ok() for found in described.get_all_operations()]
        self.called = Counter[int]()
        self._there = self._made()

    def _made(self) -> dict[str, str]:
        node = self.node
        shared = node.shared("DESCRIBED")
        message = node.message(shared)
        node.park(shared)
        return {
            "process_event": "incident.shared",
            "path": "top",
            "correlation_id": str(shared),
            "message_id": message,
            "message": message,
            "change_id": "DESCRIBED-1",
            "member": "globex",
            "sequence": "1",
            "revision": "1",
            "number": "1",
            "digest": "0" * 64,
            "token_id": node.tokens["admin"][4:12],
            "peer": "acme",
            "system": "acme",
            "name": "acme",
            "fingerprint": "0" * 16,
            "table": "incident",
            "key": "DESCRIBED",
        }

    def there(self, operation: Any) -> dict[str, str]:
        """Path parameters that name what there is, where such a thing is there."""
        names = [p.name for p in operation.path_parameters]
        found = {name: self._there.get(name, NONE) for name in names}
        if operation.path.startswith("/v1/accounts/"):
            found["name"] = "operator"
        return found

    def call(self, method: str, path: str, **sent: Any) -> Any:
        headers = sent.pop("headers", {})
        headers.setdefault("Authorization", f"Bearer {self.node.tokens['admin']}")
        answer = self.node.client.open(path, method=method, headers=headers, **sent)
        self.called[answer.status_code] += 1
        return answer


@pytest.fixture(scope="module")
def described(lasting: Node) -> Described:
    return Described(lasting)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_what_is_generated_from_the_description_is_answered_as_described(
    described: Described, mode: GenerationMode, part: int
) -> None:
    problems: dict[str, str] = {}
    for operation in described.operations[part::PARTS]:
        for path_parameters in (None, described.there(operation)):
            _generated(described, operation, mode, path_parameters, problems)
    assert "\n".join(problems.values()) == ""


def _generated(
    described: Described,
    operation: Any,
    mode: GenerationMode,
    path_parameters: dict[str, str] | None,
    problems: dict[str, str],
) -> None:
    strategy = operation.as_strategy(mode, path_parameters=path_parameters)

    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(case: Any) -> None:
        token = described.node.tokens["admin"]
        answer = case.call(headers={"Authorization": f"Bearer {token}"})
        described.called[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except (AssertionError, BaseExceptionGroup) as failed:
            problems.setdefault(f"{operation.label} {answer.status_code}", str(failed))

    with suppress(Unsatisfiable):  # there is nothing that could be wrong
        each()


# --- what nobody should send, everywhere ------------------------------------------


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_is_sent_in_a_parameter_is_answered_as_described(
    described: Described, part: int
) -> None:
    problems: dict[str, str] = {}
    before = described.called.total()
    for operation in described.operations[part::PARTS]:
        for what, path, sent in _hostile(described, operation):
            answer = described.call(operation.method.upper(), path, **sent)
            if problem := _problem(operation, answer):
                key = f"{operation.label} {answer.status_code}"
                problems.setdefault(key, f"{key}, {what}: {problem}")
    assert "\n".join(problems.values()) == ""
    assert described.called.total() - before > 2_500


Sent = tuple[str, str, dict[str, Any]]


def _hostile(described: Described, operation: Any) -> Iterator[Sent]:
    """Requests in which one thing is what it should not be."""
    there = described.there(operation)
    path = operation.path.format(**there)
    body = _body(operation)
    sent = {} if body is None else {"json": body}
    for what, address in _addresses(operation, there, path):
        yield what, address, sent
    for name in (*(p.name for p in operation.headers), "Accept", "Content-Type"):
        for text in HEADERS.values():
            headers = {name: text}
            yield f"header {name} {text[:40]}", path, {**sent, "headers": headers}
    if body is not None:
        yield from _bodies(path, body)


def _addresses(
    operation: Any, there: dict[str, str], path: str
) -> Iterator[tuple[str, str]]:
    texts = [quote(text, safe="")[:20_000] for text in TEXTS.values()]
    for name in there:
        for text in (*texts, *RAW):
            changed = operation.path.format(**{**there, name: text})
            yield f"path {name} {text[:40]}", changed
    for parameter in operation.query:
        for text in (*texts, *RAW):
            what = f"query {parameter.name} {text[:40]}"
            yield what, f"{path}?{parameter.name}={text}"
    for name in ("unknown", "limit", "cursor"):
        yield f"query {name}", f"{path}?{name}=x&{name}=y"
    yield "no such route", f"{path}/no/such?route=1"


def _bodies(path: str, body: dict[str, Any]) -> Iterator[Sent]:
    for named, value in VALUES.items():
        yield f"body {named}", path, {"json": value}
        for name in body:
            yield f"{name} {named}", path, {"json": {**body, name: value}}
    for name in body:
        without = {key: value for key, value in body.items() if key != name}
        yield f"without {name}", path, {"json": without}
    yield "unknown member", path, {"json": {**body, "unknown": 1}}
    for raw in (b"", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 50_000, b"NaN"):
        headers = {"Content-Type": "application/json"}
        yield f"raw {raw[:8]!r}", path, {"data": raw, "headers": headers}


def _body(operation: Any) -> dict[str, Any] | None:
    """The members of a body, each with a value of the type it says."""
    alternatives = list(operation.body)
    if not alternatives:
        return None
    found = _filled(alternatives[0].definition["schema"])
    return found if isinstance(found, dict) else None


def _filled(schema: dict[str, Any], bundled: dict[str, Any] | None = None) -> Any:
    """A value of the type that is described, with every member there may be."""
    bundled = schema.get("x-bundled", bundled or {})
    if reference := schema.get("$ref"):
        return _filled(bundled[reference.rpartition("/")[2]], bundled)
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return _filled(alternatives[0], bundled)
    if members := schema.get("properties"):
        return {name: _filled(each, bundled) for name, each in members.items()}
    if values := schema.get("enum"):
        return values[0]
    kinds = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    return schema.get("const", kinds.get(str(schema.get("type")), "x"))


def _problem(operation: Any, answer: Any) -> str:
    """What is wrong with the answer; "" where nothing is."""
    if answer.status_code >= 500:
        return f"a server error: {answer.data[:300]!r}"
    if answer.status_code >= 400 and any(leak in answer.data for leak in LEAKS):
        return f"it tells too much: {answer.data[:300]!r}"
    try:
        operation.validate_response(answer)
    except (AssertionError, BaseExceptionGroup) as failed:
        return f"{failed}"[:600]
    return ""
