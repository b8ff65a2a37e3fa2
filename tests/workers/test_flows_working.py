"""Flows on real workers: what they ask is found out and recorded, and whatever a
system or an action does meanwhile, nobody else waits for it."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from workplace import DEFINITION, DOWN, Workplace

from rps.application.actions import call, installed
from rps.domain.correlation import Correlation
from rps.domain.delivery import Missing, Refused, Snapshot, Unavailable
from rps.log.chain import verify
from rps.projections.inline import VIEWS
from rps.projections.rebuild import Rebuild
from rps.workers.inquirer import Inquirer
from rps.workers.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rps.domain.delivery import Reading

ACTIONS = """
import os, sys, time

def sorts(text: str, deep: bool = False) -> dict:
    print("not an answer")
    return {"kind": "hardware" if "disk" in text else "other", "deep": deep}

def shouts(text: str) -> str:
    return text.upper()

def hangs() -> str:
    os.system("sleep 600 & echo $! > " + os.environ["CHILD"])
    time.sleep(600)

def eats() -> str:
    return str(len(bytearray(900_000_000)))

def spins() -> str:
    while True:
        pass

def raises() -> str:
    raise KeyError("no such thing")

def dies() -> str:
    os.kill(os.getpid(), 9)

def babbles() -> object:
    return {"x": object()}

def floods() -> str:
    return "x" * 1_000_000

def peeks() -> list:
    return sorted(name for name in os.environ if name.startswith(("RPS_", "PG")))
"""
NAMES = (
    *("sorts", "shouts", "hangs", "eats", "spins", "raises", "dies", "babbles"),
    *("floods", "peeks"),
)


@pytest.fixture
def actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed, as an operator does it: a package with entry points."""
    tmp_path.joinpath("deskactions.py").write_text(ACTIONS)
    info = tmp_path / "deskactions-1.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: deskactions\n")
    told = "".join(f"{name} = deskactions:{name}\n" for name in NAMES)
    info.joinpath("entry_points.txt").write_text(
        f"[rps.actions]\n{told}gone = deskactions:gone\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    monkeypatch.setenv("RPS_DATABASE_URL", "postgresql://secret")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def asked(action: str, seconds: int = 10, megabytes: int = 64, **given: Any) -> Any:
    return call(
        {"action": action, "with": given, "seconds": seconds, "megabytes": megabytes}
    )


# --- actions ------------------------------------------------------------------------


@pytest.mark.usefixtures("actions")
def test_an_action_answers_with_values_or_one_value() -> None:
    values = {"kind": "hardware", "deep": True}
    assert asked("sorts", text="a disk", deep=True) == {"values": values}
    assert asked("shouts", text="help") == {"values": {"result": "HELP"}}
    assert "sorts" in installed()


@pytest.mark.usefixtures("actions")
@pytest.mark.parametrize(
    ("action", "given", "error"),
    [
        ("raises", {}, "raises raised KeyError: 'no such thing'"),
        ("babbles", {}, "babbles answered 'x' with a object"),
        ("eats", {}, "eats needs more than 64 MB of memory"),
        ("dies", {}, "dies ended with signal 9"),
        ("floods", {}, "floods answered with more than 65536 bytes"),
        ("gone", {}, "gone cannot be loaded: AttributeError"),
        ("nowhere", {}, "there is no action 'nowhere' here; installed: babbles, "),
        ("shouts", {}, "shouts(text: 'str') -> 'str': missing a required argument"),
        ("shouts", {"text": 7}, "text is given as int"),
        ("sorts", {"text": "x", "deep": "yes"}, "deep is given as str"),
        ("shouts", {"text": "x", "loud": 1}, "got an unexpected keyword argument"),
    ],
)
def test_one_that_cannot_says_what_is_wrong(
    action: str, given: dict[str, Any], error: str
) -> None:
    said = asked(action, **given)["error"].replace("'str'", "str")
    assert error.replace("'str'", "str") in said


def test_one_that_hangs_is_ended_with_all_that_it_started(actions: Path) -> None:
    assert asked("hangs", seconds=1) == {
        "error": "hangs took longer than 1 seconds; it was ended"
    }
    child = int(actions.joinpath("child").read_text())
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        pass
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as told:  # noqa: PTH123 - of a process
            return told.read().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("actions")
def test_one_that_spins_is_ended_too() -> None:
    assert "took longer than 1 seconds" in asked("spins", seconds=1)["error"]


@pytest.mark.usefixtures("actions")
def test_an_action_sees_nothing_of_where_the_database_is() -> None:
    assert asked("peeks") == {"values": {"result": []}}


# --- asked by flows -----------------------------------------------------------------


class Directory:
    """A system's table of people, to be looked up in."""

    def __init__(self, workplace: Workplace, system: str) -> None:
        self.people: dict[str, str] = {"u1": "ann@acme.example"}
        self.asked: list[tuple[str, str, str]] = []
        self.instead: Reading | None = None
        tracker = workplace.trackers[system]
        tracker.find = self.find  # type: ignore[attr-defined]

    def find(self, table: str, by: str, value: str) -> Reading:
        self.asked.append((table, by, value))
        if self.instead is not None:
            return self.instead
        if (mail := self.people.get(value)) is None:
            return Missing("there is none")
        return Snapshot(f"id of {value}", "1", {"mail": mail})


class Desk:
    """A workplace whose definition has flows, and an inquirer driven by hand."""

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self.people = Directory(workplace, "acme")
        self.inquirer = self._new()

    def _new(self) -> Inquirer:
        work = self.workplace
        return Inquirer(work.application, work._connect, call, work.now, lambda: 0.5)

    def close(self) -> None:
        self.inquirer.close()

    def flows(self, member: str = "acme", **flows: Any) -> None:
        document: dict[str, Any] = deepcopy(DEFINITION)
        document["members"][member]["flows"] = flows
        application = self.workplace.application
        application.apply_definition(document, "tester", self.workplace.now())

    def answer(self) -> int:
        """Find out all that is asked now."""
        begun = 0
        while count := self.inquirer.work():
            begun += count
            self.inquirer._threads.shutdown(wait=True)
            assert self.inquirer._broken is None, self.inquirer._broken
            self.inquirer = self._new()
        return begun

    def settle(self) -> None:
        while True:
            self.workplace.settle()
            if not self.answer():
                return

    def make_due(self) -> None:
        self.workplace.ask("UPDATE inquiries SET due_at = now()")


@pytest.fixture
def desk(workplace: Workplace) -> Iterator[Desk]:
    made = Desk(workplace)
    yield made
    made.close()


WHO = {
    "name": "who",
    "lookup": {
        "table": "users",
        "by": "id",
        "value": "{short_description}",
        "take": "mail",
    },
    "into": "short_description",
}
BACK = {
    "name": "who there",
    "lookup": {"table": "users", "by": "mail", "value": "{subject}"},
    "into": "subject",
}


def written(desk: Desk, system: str = "zenith") -> list[dict[str, Any]]:
    return [dict(write.fields) for write in desk.workplace.trackers[system].applied]


def test_a_look_up_on_the_way_in_is_found_out_and_the_change_goes_on(
    desk: Desk,
) -> None:
    desk.flows(inbound=[WHO, "map"])
    desk.workplace.title("u1")
    desk.settle()

    assert written(desk) == [{"subject": "ann@acme.example"}]
    assert desk.people.asked == [("users", "id", "u1")]
    topics = desk.workplace.topics()
    assert topics[:3] == ["change.captured", "question.asked", "question.answered"]


def test_a_look_up_on_the_way_out_is_recorded_before_anything_is_sent(
    desk: Desk,
) -> None:
    there = Directory(desk.workplace, "zenith")
    there.people = {"disk": "x"}
    desk.flows("zenith", outbound=["map", BACK])
    desk.workplace.title("disk")
    desk.settle()

    assert written(desk) == [{"subject": "id of disk"}]
    topics = desk.workplace.topics()
    assert topics.index("question.answered") < topics.index("message.transmitted")


def test_a_retry_sends_the_same_bytes_whatever_is_found_by_then(desk: Desk) -> None:
    there = Directory(desk.workplace, "zenith")
    there.people = {"disk": "x"}
    desk.flows("zenith", outbound=["map", BACK])
    zenith = desk.workplace.trackers["zenith"]
    zenith.before = lambda _write: DOWN
    desk.workplace.title("disk")
    desk.settle()
    there.people = {}
    zenith.before = lambda _write: None
    desk.workplace.make_due()
    desk.workplace.end_pause_of_breakers()
    desk.settle()

    assert written(desk) == [{"subject": "id of disk"}]
    assert len(there.asked) == 1


def test_what_many_want_to_know_is_asked_once(desk: Desk) -> None:
    desk.flows(inbound=[WHO, "map"])
    for number in range(20):
        desk.workplace.title("u1", f"A{number}")
    desk.settle()

    assert len(written(desk)) == 20
    assert len(desk.people.asked) == 1


def test_who_waits_for_an_answer_holds_up_no_other_record(desk: Desk) -> None:
    desk.flows(inbound=[{**WHO, "when": "short_descriptionSTARTSWITHu"}, "map"])
    desk.people.instead = Unavailable("connection refused")
    desk.workplace.title("u1", "A1")
    desk.workplace.title("second", "A1")
    desk.workplace.title("disk", "A2")
    desk.settle()
    assert written(desk) == [{"subject": "disk"}]

    desk.people.instead = None
    desk.make_due()
    desk.settle()
    assert written(desk) == [
        {"subject": "disk"},
        {"subject": "ann@acme.example"},
        {"subject": "second"},
    ]


def test_a_system_that_is_away_is_asked_again_and_people_see_what_is_waited_for(
    desk: Desk,
) -> None:
    desk.flows(inbound=[WHO, "map"])
    desk.people.instead = Unavailable("connection refused")
    desk.workplace.title("u1")
    desk.settle()
    ((attempts, detail),) = desk.workplace.ask(
        "SELECT attempts, detail FROM inquiries WHERE due_at > now()"
    )
    assert (attempts, detail) == (1, "connection refused")
    assert desk.workplace.ask("SELECT status::text, waits FROM inbound_queue") == [
        ("ready", True)
    ]


def test_what_cannot_be_answered_waits_for_a_person_with_the_step_named(
    desk: Desk,
) -> None:
    desk.flows(inbound=[WHO, "map"])
    desk.people.instead = Refused("2 records of users have it")
    desk.workplace.title("u1")
    desk.settle()
    assert desk.workplace.ask("SELECT status::text, detail FROM inbound_queue") == [
        ("error", "step 'who': acme: 2 records of users have it")
    ]


def test_an_answer_that_has_no_such_field_is_no_answer(desk: Desk) -> None:
    desk.flows(inbound=[{**WHO, "lookup": {**WHO["lookup"], "take": "phone"}}, "map"])
    desk.workplace.title("u1")
    desk.settle()
    ((detail,),) = desk.workplace.ask("SELECT detail FROM inbound_queue")
    assert detail == "step 'who': the record of acme shows no field 'phone'"


@pytest.mark.usefixtures("actions")
def test_an_action_that_fails_parks_its_message_and_harms_nothing_else(
    desk: Desk,
) -> None:
    desk.flows(
        "zenith",
        outbound=[
            {
                "name": "rate",
                "when": "subjectSTARTSWITHbad",
                "call": "raises",
                "into": "urgency",
            },
            {
                "name": "loud",
                "call": {"action": "shouts", "with": {"text": "{subject}"}},
                "into": "subject",
            },
        ],
    )
    desk.workplace.title("bad one", "A1")
    desk.workplace.title("good one", "A2")
    desk.settle()

    assert written(desk) == [{"subject": "GOOD ONE"}]
    failed = [row for row in desk.workplace.messages() if row[0] == "error"]
    assert [row[2] for row in failed] == [
        "step 'rate': raises raised KeyError: 'no such thing'"
    ]


def test_what_is_missing_is_made_once_however_many_want_it(desk: Desk) -> None:
    there = Directory(desk.workplace, "zenith")
    there.people = {}
    firm = {
        "name": "firm",
        "create_if_missing": {
            "table": "firms",
            "by": "name",
            "value": "{subject}",
            "with": {"vendor": True},
        },
        "into": "firm",
    }
    desk.flows("zenith", outbound=["map", firm])
    for number in range(5):
        desk.workplace.title("Acme", f"A{number}")
    desk.settle()

    zenith = desk.workplace.trackers["zenith"]
    made = [write for write in zenith.applied if write.table == "firms"]
    assert [dict(write.fields) for write in made] == [{"name": "Acme", "vendor": True}]
    cases = [write for write in zenith.applied if write.table == "case"]
    assert {write.fields["firm"] for write in cases} == {"Z1"}
    assert len(cases) == 5


def test_a_making_whose_answer_was_lost_makes_no_second_one(desk: Desk) -> None:
    there = Directory(desk.workplace, "zenith")
    there.people = {}
    firm = {
        "name": "firm",
        "create_if_missing": {"table": "firms", "by": "name", "value": "{subject}"},
        "into": "firm",
    }
    desk.flows("zenith", outbound=["map", firm])
    zenith = desk.workplace.trackers["zenith"]
    zenith.after = lambda write: DOWN if write.table == "firms" else None
    desk.workplace.title("Acme")
    desk.settle()
    zenith.after = lambda _write: None
    desk.make_due()
    desk.settle()
    assert len([w for w in zenith.applied if w.table == "firms"]) == 1
    assert zenith.applied[-1].fields["firm"] == "Z1"


def test_who_is_asked_by_a_worker_that_died_is_asked_by_another(desk: Desk) -> None:
    desk.flows(inbound=[WHO, "map"])
    desk.workplace.title("u1")
    desk.workplace.settle()
    ((inquiry,),) = desk.workplace.ask("SELECT inquiry FROM questions")
    desk.inquirer._questions.take(inquiry, "who died", 30.0)
    assert desk.answer() == 0
    desk.workplace.ask("UPDATE inquiries SET leased_until = now()")
    desk.settle()
    assert written(desk) == [{"subject": "ann@acme.example"}]


def test_a_message_that_a_flow_skips_is_not_sent_and_the_next_one_makes_the_record(
    desk: Desk,
) -> None:
    desk.flows("zenith", outbound=[{"name": "x", "skip_when": "status=2"}])
    desk.workplace.change(fields={"short_description": "disk", "state": "closed"})
    desk.workplace.receive()
    desk.workplace.change(fields={"state": "open"})
    desk.settle()

    (write,) = desk.workplace.trackers["zenith"].applied
    assert write.operation == "create"
    assert dict(write.fields) == {"subject": "disk", "status": "1"}
    ((status, _, detail), _) = desk.workplace.messages()
    assert (status, detail) == ("skipped", "rps: not sent: step 'x': status=2")


def test_what_a_flow_made_of_a_value_is_no_edit_when_it_comes_back(desk: Desk) -> None:
    desk.flows(
        "zenith", outbound=[{"name": "x", "set": {"subject": "[Acme] {subject}"}}]
    )
    desk.workplace.title("disk")
    desk.settle()
    zenith = desk.workplace.trackers["zenith"]
    ((record_id, record),) = zenith.records.items()
    assert record.fields == {"subject": "[Acme] disk"}
    for revision in ("1", "2"):
        desk.workplace.change(
            record_id, "zenith", fields=dict(record.fields), revision=revision
        )
    desk.settle()
    assert desk.workplace.trackers["acme"].applied == []
    assert desk.workplace.topics()[-1] == "change.ignored"


def test_people_are_told_by_an_event_once_it_was_delivered(desk: Desk) -> None:
    desk.flows("zenith", outbound=[{"name": "x", "notify": "{subject} is theirs"}])
    zenith = desk.workplace.trackers["zenith"]
    zenith.before = lambda _write: DOWN
    desk.workplace.title("disk")
    desk.settle()
    assert "flow.notified" not in desk.workplace.topics()
    zenith.before = lambda _write: None
    desk.workplace.make_due()
    desk.workplace.end_pause_of_breakers()
    desk.settle()
    assert desk.workplace.topics()[-2:] == ["message.acknowledged", "flow.notified"]


def test_an_operator_may_skip_what_waits_for_an_answer(desk: Desk) -> None:
    desk.flows(inbound=[WHO, "map"])
    desk.people.instead = Unavailable("connection refused")
    desk.workplace.title("u1")
    desk.settle()
    ((key, sequence, change_id),) = desk.workplace.ask(
        "SELECT correlation_id, sequence, change_id FROM inbound_queue"
    )
    application = desk.workplace.application
    application.change(
        Correlation,
        key,
        lambda each: each.skip_change(
            sequence, change_id, "no", "ann", desk.workplace.now()
        ),
    )
    desk.people.instead = None
    desk.make_due()
    desk.settle()
    assert desk.workplace.ask("SELECT count(*) FROM questions") == [(0,)]
    assert written(desk) == []


def test_what_was_found_long_ago_is_not_kept(desk: Desk) -> None:
    desk.flows(inbound=[WHO, "map"])
    desk.workplace.title("u1")
    desk.settle()
    sweeper = Sweeper(desk.workplace.application, desk.workplace.now)
    sweeper.work()
    assert desk.workplace.ask("SELECT count(*) FROM inquiries") == [(1,)]
    desk.workplace.ask("UPDATE inquiries SET changed_at = now() - interval '2 days'")
    Sweeper(desk.workplace.application, desk.workplace.now).work()
    assert desk.workplace.ask("SELECT count(*) FROM inquiries") == [(0,)]


def test_views_of_what_was_asked_are_rebuilt_row_for_row(
    desk: Desk, database: str
) -> None:
    desk.flows(inbound=[WHO, "map"])
    desk.people.people = {"u1": "ann", "u2": "bob"}
    for number in range(3):
        desk.workplace.title("u1", f"A{number}")
    desk.settle()
    desk.people.instead = Unavailable("connection refused")
    desk.workplace.title("u2", "A1")
    desk.settle()
    application = type(desk.workplace.application)(database, role="")
    try:
        recorder = application.recorder
        assert Rebuild(recorder, application.event_mapper).compare(VIEWS) == []
        assert verify(recorder.read(0, 10_000), head=recorder.head()).breaks == ()
    finally:
        application.close()
