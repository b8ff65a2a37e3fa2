"""What is answered in front of Flask is what Flask would have answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from api_node import change_of

from rps.http.door import PATH

if TYPE_CHECKING:
    from api_node import Answered, Node

API = "ih_process_sync_api"
IN_FRONT = {"Content_Type": "application/json"}
BY_FLASK = {"Content_Type": "application/json; charset=utf-8"}
"""Says the same, in words the door leaves to Flask."""


def post(node: Node, how: dict[str, str], **more: Any) -> Answered:
    return node.call("POST", PATH, **({"who": API} | how | more))


def said(answered: Answered) -> tuple[int, dict[str, str], Any]:
    """All of an answer but what differs from each to the next."""
    headers = {k: v for k, v in answered.headers.items() if k != "Content-Length"}
    found = answered.json
    for receipt in found.get("receipts", [found]):
        receipt.pop("instance", None)
        for correlation in receipt.get("correlations", []):
            correlation.pop("position")
    return answered.status, headers, found


@pytest.mark.parametrize("many", [False, True])
def test_a_good_post_is_answered_alike(lasting: Node, many: bool) -> None:
    bodies = []
    for name in ("in-front", "by-flask"):
        change = change_of("SAME", change_id=name)
        bodies.append([change] if many else change)
    answers = [
        said(post(lasting, how, body=body))
        for how, body in zip((IN_FRONT, BY_FLASK), bodies, strict=True)
    ]
    for _, _, found in answers:
        for receipt in found.get("receipts", [found]):
            del receipt["change_id"]
    assert answers[0] == answers[1]
    assert answers[0][0] == 202


@pytest.mark.parametrize(
    "asked",
    [
        {"who": None, "body": {}},
        {"who": "rps_unknown", "body": {}},
        {"who": "auditor", "body": {}},
        {"raw": b"not JSON"},
        {"raw": b""},
        {"raw": b'{"a": 1, "a": 2}'},
        {"body": {}},
        {"body": []},
        {"body": 7},
        {"body": change_of(system="nowhere")},
        {"body": [change_of(), change_of(system="nowhere")]},
        {"body": [change_of(change_id="c"), change_of(change_id="c")]},
    ],
)
def test_a_bad_post_is_refused_alike(lasting: Node, asked: dict[str, Any]) -> None:
    in_front, by_flask = (
        said(post(lasting, how | asked)) for how in (IN_FRONT, BY_FLASK)
    )
    assert in_front == by_flask
    assert in_front[0] in (400, 401, 403, 422)


def test_a_body_larger_than_allowed_is_refused_unread(lasting: Node) -> None:
    assert post(lasting, IN_FRONT, raw=b"[" + b" " * 1024 * 1024).status == 413


def test_an_error_nobody_foresaw_is_answered_and_hidden(
    lasting: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(lasting.application.intake, "capture", broken)
    answered = post(lasting, IN_FRONT, body=change_of())
    assert (answered.status, answered.json["title"]) == (
        500,
        "Something went wrong in rps",
    )
    assert b"secret" not in answered.bytes
