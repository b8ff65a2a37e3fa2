"""The execution of a message, recomputed, is what happened to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from linked_simulation import LinkedSimulation
from simulation import Simulation

from rps.domain import events
from rps.domain.logged import find, made_in
from rps.domain.trace import (
    RESPONSE_SHOWN,
    deliveries_shown,
    judgement_at,
    judgement_shown,
    outcome_shown,
    redacted,
    waits_shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SCHEDULES = int(os.environ.get("RPS_SCHEDULES", "10000")) // 1000
KINDS: list[dict[str, bool]] = [
    {},
    {"deletes": True},
    {"manual": True},
    {"latest": True},
    {"edits": True},
]


def traced(log: list[Any], definition: Any) -> int:
    """Trace every message of a history; how many attempts there were."""

    def stream() -> Iterable[tuple[int, Any]]:
        return enumerate(log, 1)

    attempts = 0
    for message_id in [m["message_id"] for e in log for m in made_in(e)]:
        attempts += looked_over(message_id, stream, log, definition)
    sent = [event for event in log if isinstance(event, events.MessageTransmitted)]
    assert attempts == len(sent)
    return attempts


def looked_over(
    message_id: str, stream: Callable[[], Any], log: list[Any], definition: Any
) -> int:
    found = find(stream, message_id)
    assert found is not None
    deliveries = deliveries_shown(found, stream, lambda _: definition)
    attempts = [each for delivery in deliveries for each in delivery["attempts"]]
    assert all(each["as_sent"] for each in attempts), attempts
    if isinstance(found.made_by, events.ChangeAccepted):
        judgement = judgement_at(stream, found.made_by.sequence, found.made_at)
        assert judgement is not None
        shown = judgement_shown(judgement, definition, 1)
        assert shown["as_recorded"]
        assert message_id in [each["message_id"] for each in shown["messages"]]
        check_steps(shown, found.made_by, judgement.captured)
    acknowledged = any(
        isinstance(e, events.MessageAcknowledged) and e.message_id == message_id
        for e in log
    )
    assert (outcome_shown(found)["state"] == "delivered") == acknowledged
    return len(attempts)


def check_steps(
    shown: dict[str, Any], accepted: events.ChangeAccepted, captured: Any
) -> None:
    """Each field's step says what the event says of the field."""
    merged = {s["name"]: s for s in shown["steps"] if s["kind"] == "merge"}
    assert accepted.values.keys() <= merged.keys()
    for name, value in accepted.values.items():
        assert merged[name]["output"] == value
    for name, step in merged.items():
        if name not in accepted.values:
            assert not step["detail"].startswith("accepted")
        if name in accepted.late:
            assert step["detail"].startswith(("late", "conflict"))
    if captured.operation != "delete":
        mapped = next(s for s in shown["steps"] if s["name"] == "map")
        assert mapped["output"].keys() <= merged.keys()


@pytest.mark.parametrize("what", KINDS, ids=lambda what: "-".join(what) or "plain")
@pytest.mark.parametrize("grade", "ABCD")
def test_executions_of_random_messages_are_what_happened(
    grade: str, what: dict[str, bool]
) -> None:
    attempts = 0
    for seed in range(SCHEDULES):
        simulation = Simulation(grade, seed, **what)
        simulation.run()
        attempts += traced(simulation.node.log, simulation.definition)
    assert attempts > 8 * SCHEDULES


@pytest.mark.parametrize("shape", ["pair", "triangle"])
def test_executions_between_nodes_are_what_happened(shape: str) -> None:
    attempts = 0
    for seed in range(SCHEDULES):
        simulation = LinkedSimulation("A", seed, shape)
        simulation.run()
        for node in simulation.nodes.values():
            attempts += traced(node.log, node.definition)
    assert attempts > 10 * SCHEDULES


def test_waits_are_those_that_were_recorded() -> None:
    simulation = Simulation("A", 4)
    simulation.run()
    log = simulation.node.log
    made = next(m for e in log for m in made_in(e))
    found = find(lambda: enumerate(log, 1), made["message_id"])
    assert found is not None
    waits = waits_shown(found, found.made_by.timestamp)
    assert waits["captured_to_judged"] == 0.0
    sent = next(e for e in found.about if isinstance(e, events.MessageTransmitted))
    expected = (sent.timestamp - found.made_by.timestamp).total_seconds()
    assert waits["judged_to_sent"] == expected


def test_a_message_of_another_correlation_is_not_found() -> None:
    simulation = Simulation("A", 4)
    simulation.run()
    assert find(lambda: enumerate(simulation.node.log, 1), "nobody's") is None


@pytest.mark.parametrize(
    "response",
    [
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "Authorization: Bearer abc.def-ghi",
        '{"token": "s3cr3tvalue"}',
        "{'password':'s3cr3tvalue'}",
        "api_key=s3cr3tvalue&x=1",
        "rps_0123456789abcdef",
    ],
)
def test_what_looks_like_a_secret_is_left_out_of_a_response(response: str) -> None:
    shown = redacted(f'{{"detail": 1}} {response}')
    assert "…" in shown
    for secret in ("s3cr3tvalue", "MfKQ9r8GKYqr", "abc.def", "0123456789"):
        assert secret not in shown


def test_a_message_made_anew_while_it_is_under_way_has_its_attempt_where_it_was() -> (
    None
):
    """A delete was sent, and withdrawn before the answer came: the attempt was shown as
    one of the message that replaced it."""
    simulation = Simulation("C", 9, deletes=True)
    simulation.run()
    traced(simulation.node.log, simulation.definition)


def test_a_long_response_is_cut() -> None:
    assert len(redacted("x" * 10_000)) == RESPONSE_SHOWN + 1
    assert redacted('{"record_id": "T1"}') == '{"record_id": "T1"}'
