"""What another definition would have made of what was recorded, field by field."""

from __future__ import annotations

from typing import Any

from shared_record import SharedRecord, definition, shared
from simulated_people import document_of
from simulation import Simulation

from rps.domain.branching import branched
from rps.domain.differences import Comparison, compared
from rps.domain.document import parse
from rps.domain.judgements import Judgement, judgements


def recorded(record: SharedRecord, before: Any) -> Judgement:
    verdict: Any = next(e for e in record.followed if e.TOPIC.startswith("change."))
    return Judgement(
        before, record.captured, record.sequence, 1, tuple(record.followed), verdict
    )


def tried(
    own: Any, other: Any, *, changes: list[tuple[str, int, dict[str, Any]]]
) -> list[Comparison]:
    """The changes judged under `own`, each beside the same under `other`."""
    record, found = SharedRecord(own), []
    for member, revision, shown in changes:
        before = branched(record.record)
        record.shows(member, revision, **shown)
        judgement = recorded(record, before)
        found.append(compared(judgement, other, 2, lambda _: own, lambda _: 1))
    return found


CREATE = ("a", 1, {"operation": "create", "title": "first", "state": "new"})


def variant(**members: Any) -> Any:
    document = definition().to_document()
    for name, change in members.items():
        document["members"][name] |= change
    return parse(document)


def test_the_same_definition_differs_in_nothing() -> None:
    (found,) = tried(definition(), definition(), changes=[CREATE])

    assert not found
    assert (found.recorded.kind, found.tried.kind) == ("accepted", "accepted")


def test_another_map_is_a_difference_in_the_members_own_words() -> None:
    fields = {"title": "summary", "state": "state"}
    (found,) = tried(definition(), variant(c={"fields": fields}), changes=[CREATE])

    (message,) = found.messages
    assert (message.kind, message.member) == ("values", "c")
    told = {each.field: (each.recorded, each.tried) for each in message.fields}
    assert told == {"title": ("first", None), "summary": (None, "first")}
    assert not found.shared
    assert not found.is_refused


def test_a_condition_ignores_instead_and_says_why() -> None:
    other = variant(a={"capture_when": "state=open"})
    (found,) = tried(definition(), other, changes=[CREATE])

    assert (found.recorded.kind, found.tried.kind) == ("accepted", "ignored")
    assert "condition does not hold" in found.tried.reason
    assert {each.kind for each in found.messages} == {"missing"}
    assert {each.member for each in found.messages} == {"b", "c"}


def test_what_would_not_be_captured_is_ignored_instead() -> None:
    other = variant(a={"capture": ["update"]})
    (found,) = tried(definition(), other, changes=[CREATE])
    (moved,) = tried(definition(), variant(a={"table": "other"}), changes=[CREATE])

    assert found.tried.reason == "not captured: create is not captured from a"
    assert "does not capture a.record" in moved.tried.reason


def test_a_member_that_is_new_is_told_and_one_that_is_gone_is_not() -> None:
    small = definition().to_document()
    del small["members"]["c"]
    (extra,) = tried(parse(small), definition(), changes=[CREATE])
    (missing,) = tried(definition(), parse(small), changes=[CREATE])

    assert [(m.kind, m.member) for m in extra.messages] == [("extra", "c")]
    assert [(m.kind, m.member) for m in missing.messages] == [("missing", "c")]


def test_a_change_that_could_not_be_read_is_refused() -> None:
    document = definition().to_document()
    document["fields"]["state"] = {"type": "number"}
    (found,) = tried(definition(), parse(document), changes=[CREATE])

    assert found.tried.kind == "failed"
    assert "'state'" in found.tried.reason
    assert found.is_refused


def test_a_message_that_could_not_be_written_is_refused() -> None:
    """The shared value was of a type that the field has no more."""
    own, other = definition(), definition().to_document()
    other["fields"]["state"] = {"type": "choice", "values": ["x"]}
    other["members"]["a"]["fields"].pop("state")
    changes = [CREATE, ("a", 2, {"title": "second"})]
    own_without_c = own.to_document()
    del own_without_c["members"]["c"]
    found = tried(parse(own_without_c), parse(other), changes=changes)[-1]

    refused = [each for each in found.messages if each.kind == "refused"]
    assert [each.member for each in refused] == ["c"]
    assert "'state'" in refused[0].detail
    assert found.is_refused


def test_another_policy_is_another_winner() -> None:
    changes: list[tuple[str, int, dict[str, Any]]] = [
        CREATE,
        ("b", 1, {"operation": "create", "title": "from b"}),
    ]
    found = tried(definition("remote_wins"), definition("local_wins"), changes=changes)[
        -1
    ]

    assert [each.field for each in found.shared] == ["title"]
    assert found


def test_what_was_ignored_either_way_is_no_difference() -> None:
    changes: list[tuple[str, int, dict[str, Any]]] = [
        CREATE,
        ("a", 1, {"title": "first"}),
    ]
    own = definition()
    other = variant(a={"capture_when": "state=new", "capture_while": True})
    assert not tried(own, other, changes=changes)[-1]


def test_what_a_worker_had_not_read_yet_is_no_difference_of_the_definition() -> None:
    """The log has an answer right before the judgement which came too late for it."""
    own = definition()
    record = shared(own)
    before = branched(record.record)
    record.shows("a", 2, title="second")
    judgement = recorded(record, before)
    other = variant(c={"fields": {"title": "summary", "state": "state"}})
    del before.links["b"]

    assert not compared(judgement, own, 2, lambda _: own, lambda _: 1)
    found = compared(judgement, other, 2, lambda _: own, lambda _: 1)
    assert [each.member for each in found.messages] == ["c"]


def test_comparisons_are_plain_data() -> None:
    other = variant(a={"capture_when": "state=open"})
    (found,) = tried(definition(), other, changes=[CREATE])

    plain = found.to_json()
    assert plain["tried"]["kind"] == "ignored"
    assert plain["messages"][0]["fields"][0].keys() == {"field", "recorded", "tried"}


def test_no_definition_stops_a_trial_of_any_history() -> None:
    """Types, policies and maps at random, on histories made under other ones."""
    count = 0
    for seed in range(4):
        simulation = Simulation("D", seed, edits=True, deletes=True)
        simulation.run()
        for kind in ("text", "number", "boolean", "date-time", "tags", "duration"):
            document = document_of(**simulation.rules)
            for name in document["fields"]:
                document["fields"][name] = {"type": kind, "policy": "newer_wins"}
            for member in document["members"].values():
                member["fields"] = {name: name for name in document["fields"]}
            other = parse(document)
            own = simulation.definition
            for each in judgements(enumerate(simulation.node.log, 1)):
                compared(each, other, 2, lambda _, own=own: own, lambda _: 1)
                count += 1
    assert count > 200
