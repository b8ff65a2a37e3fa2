"""A preview is the request that is sent, but for what proves that we sent it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from pushing import CREATE, FULL, NOW, SECRET, UPDATE

from rps.connectors.node import NodeConnector
from rps.connectors.push import PushConnector
from rps.connectors.transport import Answer
from rps.domain.delivery import Preview, Refused

if TYPE_CHECKING:
    from rps.connectors.transport import Request
    from rps.domain.delivery import Write


class Recorded:
    """A wire that answers nothing much, and remembers what went over it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def send(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(200, {}, b"{}", 0.0)


def connectors(wire: Any) -> dict[str, Any]:
    about: dict[str, Any] = {
        "url": "https://hooks.example/rps",
        "secrets": [SECRET],
        "clock": lambda: NOW,
        "random_bytes": bytes,
    }
    return {
        "push": PushConnector(wire, capabilities=FULL, **about),
        "node": NodeConnector(wire, decides=True, **about),
    }


@pytest.mark.parametrize("name", ["push", "node"])
@pytest.mark.parametrize("write", [UPDATE, CREATE], ids=["update", "create"])
def test_a_preview_is_what_is_sent_without_the_signature(
    name: str, write: Write
) -> None:
    wire = Recorded()
    connector = connectors(wire)[name]

    preview = connector.preview(write)
    assert wire.requests == []
    connector.write(write)

    (sent,) = wire.requests
    assert isinstance(preview, Preview)
    assert (preview.method, preview.url) == (sent.method, sent.url)
    assert preview.body.encode() == sent.body
    assert preview.headers.keys() == sent.headers.keys()
    differing = {n for n, v in preview.headers.items() if sent.headers[n] != v}
    assert differing == {"webhook-signature"}
    assert sent.headers["webhook-signature"] not in str(preview)


@pytest.mark.parametrize("name", ["push", "node"])
def test_what_cannot_be_put_into_a_request_has_no_preview(name: str) -> None:
    write = replace(UPDATE, fields={"title": "\ud800"})

    preview = connectors(Recorded())[name].preview(write)

    assert isinstance(preview, Refused)
    assert "cannot be put into a request" in preview.detail


def test_a_preview_of_a_node_has_the_one_message() -> None:
    preview = connectors(Recorded())["node"].preview(UPDATE)

    assert isinstance(preview, Preview)
    messages = orjson.loads(preview.body)["messages"]
    assert [each["id"] for each in messages] == [UPDATE.delivery_id]
