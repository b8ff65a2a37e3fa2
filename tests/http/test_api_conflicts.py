"""Conflicts over HTTP: listed, shown with who wrote what, decided."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from api_node import DOCUMENT

from rps.domain.correlation import Correlation
from rps.domain.events import CorrelationLinked
from rps.workers.worker import Projector

if TYPE_CHECKING:
    from api_node import Node

WHY = {"reason": "the partner was asked"}


@pytest.fixture
def disputed(sharing: Node) -> Node:
    """Acme renamed an incident, globex its ticket, before either heard of it."""
    document = deepcopy(DOCUMENT)
    document["fields"]["title"]["policy"] = "manual"
    path = "/v1/definitions/incident.shared"
    assert sharing.call("PUT", path, document).status == 200
    assert sharing.call("POST", f"{path}/publish").status == 200
    linked(sharing)
    said(sharing, "acme", "INC1", 2, short_description="Printer burns")
    said(sharing, "globex", "T1", 2, summary="Printer smokes")
    project(sharing)
    return sharing


def linked(node: Node) -> None:
    """An incident of acme's, and the ticket that globex made of it."""
    correlation_id = node.shared(revision=1)
    correlation = node.application.find(Correlation, correlation_id)
    assert correlation is not None
    node.tell(
        correlation_id,
        CorrelationLinked,
        definition=correlation.definition,
        member="globex",
        system="globex",
        table="ticket",
        record_id="T1",
        record_revision=None,
    )
    node.acknowledge(correlation_id)


def said(node: Node, system: str, record_id: str, revision: int, **fields: Any) -> None:
    table = "incident" if system == "acme" else "ticket"
    node.shared(
        record_id,
        system=system,
        table=table,
        operation="update",
        revision=revision,
        fields=fields,
        changed_by=f"{system}'s agent",
    )


def project(node: Node) -> None:
    projector = Projector(node.application)
    while projector.work():
        pass


def conflicts(node: Node, query: str = "") -> list[Any]:
    return list(node.get(f"/v1/conflicts{query}", who="operator")["conflicts"])


def resolve(node: Node, number: int, *, who: str = "operator", **decision: Any) -> Any:
    path = f"/v1/conflicts/{number}/resolve"
    return node.call("POST", path, WHY | decision, who=who)


def waiting(node: Node) -> list[tuple[str, str, Any]]:
    return [
        (entry["system"], entry["operation"], entry["status"])
        for entry in node.get("/v1/outbound?status=ready", who="operator")["entries"]
    ]


def test_an_open_conflict_shows_both_sides_and_who_wrote_them(disputed: Node) -> None:
    (found,) = conflicts(disputed, "?state=open")
    shown = disputed.get(f"/v1/conflicts/{found['id']}", who="auditor")
    values = [shown[name] for name in ("base", "mine", "theirs")]
    assert values == ["Printer", "Printer burns", "Printer smokes"]
    assert shown["mine_by"]["who"] == "acme's agent"
    assert shown["theirs_by"]["who"] == "globex's agent"
    assert shown["now"] == {"mine": "Printer burns", "theirs": "Printer smokes"}
    assert (shown["member"], shown["field"]) == ("globex", "title")


def test_a_decision_is_sent_and_the_conflict_is_over(disputed: Node) -> None:
    (found,) = conflicts(disputed)
    assert resolve(disputed, found["id"], keep="mine").status == 200
    assert ("globex", "update", "ready") in waiting(disputed)
    project(disputed)
    (found,) = conflicts(disputed, "?state=resolved")
    decided = [found[name] for name in ("value", "actor", "reason")]
    assert decided == ["Printer burns", "operator", WHY["reason"]]
    again = resolve(disputed, found["id"], keep="mine")
    assert (again.status, again.json["type"].rpartition(":")[2]) == (
        409,
        "entry-settled",
    )


def test_another_value_goes_to_both(disputed: Node) -> None:
    (found,) = conflicts(disputed)
    assert resolve(disputed, found["id"], value="Printer is hot").status == 200
    assert {system for system, _, _ in waiting(disputed)} == {"acme", "globex"}


def test_a_conflict_that_moves_on_is_shown_as_it_is_now(disputed: Node) -> None:
    said(disputed, "acme", "INC1", 3, short_description="Printer is ash")
    (found,) = conflicts(disputed)
    shown = disputed.get(f"/v1/conflicts/{found['id']}")
    assert shown["now"] == {"mine": "Printer is ash", "theirs": "Printer smokes"}
    said(disputed, "globex", "T1", 3, summary="Printer is gone")
    project(disputed)
    assert [each["state"] for each in conflicts(disputed)] == ["open", "superseded"]
    assert conflicts(disputed)[0]["theirs"] == "Printer is gone"


def test_it_is_decided_behind_the_views_back_only_once(disputed: Node) -> None:
    (found,) = conflicts(disputed)
    assert resolve(disputed, found["id"], keep="theirs").status == 200
    late = resolve(disputed, found["id"], keep="mine")  # the view does not know yet
    assert late.status == 409
    assert "no open conflict" in late.json["detail"]


@pytest.mark.parametrize(
    "decision",
    [{}, {"keep": "mine", "value": "x"}, {"keep": "ours"}, {"keep": "mine", "x": 1}],
)
def test_an_unclear_decision_is_refused(disputed: Node, decision: Any) -> None:
    (found,) = conflicts(disputed)
    assert resolve(disputed, found["id"], **decision).status == 422
    assert conflicts(disputed, "?state=open")


def test_a_value_of_another_type_is_refused(disputed: Node) -> None:
    (found,) = conflicts(disputed)
    refused = resolve(disputed, found["id"], value={"a": 1})
    assert refused.status == 422
    assert "is not a text" in refused.json["detail"]
    assert refused.json["place"] == "/value"


def test_others_see_nothing_and_may_do_nothing(disputed: Node) -> None:
    (found,) = conflicts(disputed)
    path = f"/v1/conflicts/{found['id']}"
    assert disputed.call("GET", path, who="stranger").status == 404
    assert disputed.get("/v1/conflicts", who="stranger")["conflicts"] == []
    assert resolve(disputed, found["id"], who="stranger", keep="mine").status == 404
    assert resolve(disputed, found["id"], who="auditor", keep="mine").status == 403


def test_what_policy_decided_is_listed_with_the_loser(sharing: Node) -> None:
    linked(sharing)
    said(sharing, "acme", "INC1", 2, short_description="Printer burns")
    said(sharing, "globex", "T1", 2, summary="Printer smokes")
    project(sharing)
    (found,) = conflicts(sharing, "?state=decided&field=title")
    assert {found["mine"], found["theirs"]} == {"Printer burns", "Printer smokes"}
    assert found["winner"] in ("hub", "remote")
