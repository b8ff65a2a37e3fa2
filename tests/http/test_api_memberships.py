"""Who takes part in a correlation, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from uuid import UUID

    from api_node import Node

WHY = {"reason": "the partner was asked"}


@pytest.fixture
def key(sharing: Node) -> UUID:
    return sharing.shared(revision=1)


def said(node: Node, key: UUID, what: str, body: Any = WHY, who: str = "admin") -> Any:
    return node.call("POST", f"/v1/correlations/{key}/{what}", body, who=who)


def test_a_member_is_unlinked_and_linked_again(sharing: Node, key: UUID) -> None:
    answered = said(sharing, key, "members/globex/unlink", who="operator")
    assert (answered.status, answered.json) == (200, {"result": "unlinked"})
    assert sharing.get(f"/v1/correlations/{key}")["unlinked"] == ["globex"]
    (entry,) = sharing.get("/v1/outbound?status=skipped")["entries"]
    assert "operator: globex is unlinked: the partner was asked" in entry["detail"]
    assert sharing.get("/v1/outbound?status=ready")["entries"] == []
    answered = said(sharing, key, "members/globex/relink")
    assert answered.json == {"result": "relinked"}
    (entry,) = sharing.get("/v1/outbound?status=ready")["entries"]
    assert (entry["operation"], entry["change_id"]) == ("create", "")
    shown = sharing.get(f"/v1/correlations/{key}/timeline")["events"]
    assert [line["summary"] for line in shown][-2:] == [
        "globex no longer takes part: the partner was asked",
        "globex takes part again: the partner was asked",
    ]


def test_the_whole_is_deactivated_and_reactivated(sharing: Node, key: UUID) -> None:
    assert said(sharing, key, "deactivate").json == {"result": "deactivated"}
    assert sharing.get(f"/v1/correlations/{key}")["state"] == "inactive"
    assert said(sharing, key, "deactivate").status == 200  # said twice
    assert said(sharing, key, "reactivate").json == {"result": "reactivated"}
    assert sharing.get(f"/v1/correlations/{key}")["state"] == "active"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "force": True}])
def test_a_reason_is_needed(sharing: Node, key: UUID, body: Any) -> None:
    assert said(sharing, key, "deactivate", body).status == 422
    assert said(sharing, key, "members/globex/unlink", body).status == 422
    assert sharing.get(f"/v1/correlations/{key}")["unlinked"] == []


def test_a_member_that_there_is_not(sharing: Node, key: UUID) -> None:
    for what in ("unlink", "relink"):
        assert said(sharing, key, f"members/hooli/{what}").status == 404


def test_an_auditor_may_not(sharing: Node, key: UUID) -> None:
    assert said(sharing, key, "deactivate", who="auditor").status == 403
