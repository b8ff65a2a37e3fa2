"""Journal entries over HTTP: what is taken, and what becomes of it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from api_node import DOCUMENT, change_of

if TYPE_CHECKING:
    from api_node import Node

JOURNALS = {
    "acme": {"comments": {"journal": "comments", "edits": True}},
    "globex": {"comments": {"journal": "replies", "edits": True}},
}


@pytest.fixture
def talking(sharing: Node) -> Node:
    document: Any = deepcopy(DOCUMENT)
    document["journals"] = {"comments": {"visibility": "public"}}
    for name, journals in JOURNALS.items():
        document["members"][name]["journals"] = journals
    path = "/v1/definitions/incident.shared"
    assert sharing.call("PUT", path, document).status == 200
    assert sharing.call("POST", f"{path}/publish").status == 200
    return sharing


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "journal": "comments", "text": text, **more}


def test_an_edit_and_a_removal_are_told_in_the_timeline(talking: Node) -> None:
    for number, entry in enumerate(
        (said("one"), said("two"), {"id": "c1", "journal": "comments", "deleted": True})
    ):
        key = talking.shared(
            operation="update", revision=number + 1, fields={}, entries=[entry]
        )
    events = talking.get(f"/v1/correlations/{key}/timeline")["events"]
    accepted = [e for e in events if e["topic"] == "change.accepted"]
    assert [e["summary"] for e in accepted] == [
        "acme set no fields; globex to be told",
        "acme set no fields, 1 journal entries edited; globex to be told",
        "acme set no fields, 1 journal entries removed; globex to be told",
    ]
    entries = [e["fields"]["messages"][0]["entries"][0] for e in accepted]
    assert [(e.get("operation"), e["text"]) for e in entries] == [
        (None, "one"),
        ("update", "two"),
        ("delete", ""),
    ]


@pytest.mark.parametrize(
    ("size", "status", "code"),
    [
        (64 * 1024 + 1, 422, "string-too-long"),
        (1024 * 1024, 413, "request-entity-too-large"),
    ],
)
def test_a_comment_that_is_too_long_is_refused_and_says_so(
    talking: Node, size: int, status: int, code: str
) -> None:
    answered = talking.call(
        "POST", "/v1/changes", change_of(entries=[said("x" * size)])
    )
    assert answered.status == status
    assert answered.json["type"].rpartition(":")[2] == code
    assert talking.get("/v1/inbound")["entries"] == []


def test_the_longest_comment_is_taken(talking: Node) -> None:
    talking.shared(entries=[said("x" * 64 * 1024)])
    (entry,) = talking.get("/v1/outbound")["entries"]
    assert entry["operation"] == "create"


def test_a_comment_without_text_is_taken_and_told_to_nobody(talking: Node) -> None:
    key = talking.shared(entries=[said("")])
    events = talking.get(f"/v1/correlations/{key}/timeline")["events"]
    assert events[-1]["fields"]["entries"] == []
