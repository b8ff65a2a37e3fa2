"""The conformance suite against another node: a real one, with a desk of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hubs import SHARED, document

from rps.connectors.conformance import suite
from rps.connectors.conformance.tried import Sample, Tried
from rps.connectors.conformance.unreliable import Unreliable
from rps.connectors.node import NodeConnector
from rps.connectors.signature import new_secret
from rps.domain.delivery import Shown, Snapshot

if TYPE_CHECKING:
    from hubs import Hub

    from rps.connectors.conformance.results import Result

SAMPLE = Sample(
    *(SHARED, {"title": "rps conformance", "state": "new"}, "title", "comments"),
    process_event=SHARED,
    nowhere=str(uuid4()),
    no_files="the other node pulls them from this one: see test_linked_files",
)
INAPPLICABLE = {"attachment", "poll", "poll-pages", "poll-edits"}


class Way(Unreliable):
    """Between nodes of one process, where there is nobody to trust."""

    def trusting(self, _authorities: str) -> Way:
        return self


def run(acme: Hub, globex: Hub) -> dict[str, Result]:
    """As acme writes to globex."""
    unreliable = Way(acme.wire)
    system = acme.application.configuration.refresh().system("top", globex.name)
    assert system is not None
    connector = acme.neighbours.connector(system, unreliable)
    stranger = NodeConnector(
        *(acme.wire,),
        url=system.settings["url"],
        secrets=[new_secret(b"x" * 32)],
        decides=True,
    )

    def pause(_seconds: float) -> None:
        globex.work()
        globex.make_due()

    def shows(_table: str, shared: str) -> Shown:
        told = globex.desk.comments.get(globex.ticket(shared) or "", {})
        entries: list[dict[str, Any]] = [
            {"id": key, "text": text} for key, text in told.items()
        ]
        return Shown(Snapshot(shared, None, {}), entries=tuple(entries))

    tried = Tried(
        *(connector, unreliable, stranger, SAMPLE),
        new_id=lambda: str(uuid4()),
        pause=pause,
        shows=shows,
    )
    return {each.case: each for each in suite.run(tried)}


def test_the_connector_passes_what_is_between_nodes(hubs: dict[str, Hub]) -> None:
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    acme.publish(document("globex"))
    globex.publish(document("acme"))
    results = run(acme, globex)
    assert results.keys() == suite.CASES.keys()
    assert [each for each in results.values() if each.passed is False] == []
    assert {n for n, each in results.items() if each.passed is None} == INAPPLICABLE
    assert "does not share 'rps_no_such_field'" in results["unknown-field"].says


def test_a_node_that_publishes_nothing_of_it_says_what_to_do(
    hubs: dict[str, Hub],
) -> None:
    acme, globex = hubs["acme"], hubs["globex"]
    acme.invites(globex)
    acme.publish(document("globex"))
    results = run(acme, globex)
    assert list(results) == ["check", "create"]
    assert results["create"].passed is False
    assert "publish a definition with a member" in results["create"].says
