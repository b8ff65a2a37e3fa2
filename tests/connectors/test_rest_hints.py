"""Records that a webhook told of are read soon, with their comments, and taken in."""

from __future__ import annotations

import ipaddress
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from plain_desk import TOKEN, PlainDesk, serving

from rps.application import RemoteProcessSync
from rps.application.captured import Poster
from rps.application.connections import Connections
from rps.connectors.rest import presets
from rps.connectors.transport import Transport
from rps.domain.delivery import Shown, Snapshot
from rps.domain.remote_system import RemoteSystem
from rps.projections.hint_questions import HintQuestions
from rps.workers.deliverer import Deliverer
from rps.workers.doubt import Doubt
from rps.workers.hints import ATTEMPTS_MAX, Hints
from rps.workers.poller import Poller
from rps.workers.receiver import Receiver
from rps.workers.worker import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MEMBERS: dict[str, Any] = {
    "desk": {
        "table": "ticket",
        "fields": {"title": "title"},
        "journals": {"comments": "comments"},
        "capture": ["create", "update", "delete"],
    },
    "acme": {
        "table": "incident",
        "fields": {"title": "short_description"},
        "journals": {"comments": "comments"},
    },
}

WRITING = """
INSERT INTO lanes (correlation_id, direction, member, domain, system, holder)
SELECT correlation_id, 'out', 'desk', 'top', 'desk', 'somebody'
FROM links WHERE member = 'desk' AND record_id = %(record_id)s
"""


class Reading:
    """A node that shares the tickets of a desk, and reads those that it is told of."""

    def __init__(self, database: str, desk: PlainDesk, url: str) -> None:
        self.desk = desk
        self.application = RemoteProcessSync(database, connections=4)
        self.database = database
        with psycopg.connect(database) as conn:
            conn.execute("INSERT INTO secrets VALUES ('top', 'desk', %s)", (TOKEN,))
        now = clock()
        self.application.ensure_domain("top", "", "test", now)
        described, _ = presets.read_text(presets.text("generic"))
        settings = {
            "url": url,
            "secrets": ["desk"],
            "described": described,
            "set": {},
            "poll_from": "2020-01-01T00:00:00Z",
        }
        for name, kind, of in (
            ("desk", "rest", settings),
            ("acme", "push", {"url": url, "secrets": ["desk"]}),
        ):
            system, _ = self.application.register_system(
                *("top", name, kind, "", of, "test", now)
            )
            self.application.activate_system(system.id, "test", now)
        document = {
            "process_event": "ticket.shared",
            "fields": {"title": {"type": "text"}},
            "journals": {"comments": {"visibility": "public"}},
            "attachments": {
                "journal": "comments",
                "size_max": "1 MB",
                "deletion": True,
            },
            "members": MEMBERS,
        }
        self.application.apply_definition(document, "test", now)
        self.application.configuration.refresh()
        self.transport = Transport(LOOPBACK)
        connections = Connections(
            self.application, self.transport, self.application.configuration
        )
        self._connect = connections.connect
        self.questions = HintQuestions(self.application.datastore)

    def told_of(self, record_id: str) -> None:
        self.questions.note("top", "desk", "ticket", record_id)

    def judge(self) -> None:
        """What was captured."""
        receiver = Receiver(self.application, clock)
        while receiver.work():
            pass

    def read(self) -> int:
        """All that is due, to its end."""
        hints = Hints(self.application, self._connect, clock)
        begun = hints.work()
        hints._threads.shutdown()
        return begun

    def poll(self) -> None:
        """The table, to its end; at first from its beginning."""
        with psycopg.connect(self.database) as conn:
            conn.execute("UPDATE polls SET due_at = now()")
        poller = Poller(self.application, self._connect, clock)
        poller.work()
        poller.close()

    def receive(self) -> None:
        Receiver(self.application, clock).work()

    def posted(self, operation: str, **fields: str) -> None:
        """Acme says so, and the desk is written to."""
        change = {
            "system": "acme",
            "table": "incident",
            "record_id": "INC1",
            "operation": operation,
            "change_id": f"{operation} of {fields}",
            "fields": {"short_description": fields["title"]},
        }
        poster = Poster("top", "test")
        self.application.intake.capture(poster, [change], clock())
        self.receive()
        done = threading.Semaphore(0)
        deliverer = Deliverer(
            *(self.application, self._connect, clock, lambda: 0.5),
            finished=done.release,
        )
        assert deliverer.work() == 1
        assert done.acquire(timeout=30)
        deliverer.close()

    def is_written_to(self, record_id: str) -> None:
        with psycopg.connect(self.database) as conn:
            conn.execute(WRITING, {"record_id": record_id})

    def let_go(self) -> None:
        with psycopg.connect(self.database) as conn:
            conn.execute("UPDATE lanes SET holder = NULL, leased_until = NULL")
            conn.execute("UPDATE hints SET due_at = now()")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as conn:
            return conn.execute(sql).fetchall()

    def captured(self) -> list[dict[str, Any]]:
        sql = (
            "SELECT convert_from(state, 'UTF8')::jsonb FROM rps_events"
            " WHERE topic = 'change.captured' ORDER BY notification_id"
        )
        return [row[0] for row in self.ask(sql)]

    def close(self) -> None:
        self.transport.close()
        self.application.close()


@pytest.fixture
def reading(database: str) -> Iterator[Reading]:
    desk = PlainDesk()
    with serving(desk) as url:
        made = Reading(database, desk, url)
        yield made
        made.close()


def test_a_record_that_a_hook_told_of_is_read_with_its_comments(
    reading: Reading,
) -> None:
    reading.desk._created({"title": "Printer"})
    comment = {"id": 9, "text": "Smoke", "author": "Dee", "at": clock().isoformat()}
    reading.desk.comments[1].append(comment)
    reading.told_of("1")
    assert reading.read() == 1
    [change] = reading.captured()
    assert change["fields"] == {"title": "Printer"}
    assert [(e["id"], e["text"]) for e in change["entries"]] == [("9", "Smoke")]
    assert reading.ask("SELECT count(*) FROM hints") == [(0,)]


def test_a_record_that_is_written_to_meanwhile_is_read_again_then(
    reading: Reading,
) -> None:
    """It showed the value of before the write, which looked like an edit back to it."""
    reading.desk._created({"title": "Printer"})
    reading.poll()
    reading.receive()
    reading.is_written_to("1")
    reading.desk.edit(1, title="Printer on fire")
    comment = {"id": 9, "text": "Smoke", "author": "Dee", "at": clock().isoformat()}
    reading.desk.comments[1].append(comment)
    reading.poll()
    change = reading.captured()[-1]
    assert change["fields"] == {}
    assert [e["text"] for e in change["entries"]] == ["Smoke"]
    assert reading.read() == 1
    assert len(reading.captured()) == 2  # it is being written to still
    reading.let_go()
    assert reading.read() == 1
    assert reading.captured()[-1]["fields"] == {"title": "Printer on fire"}
    assert reading.ask("SELECT count(*) FROM hints") == [(0,)]


def test_a_reading_from_before_a_write_was_heard_of_is_in_doubt(
    reading: Reading,
) -> None:
    reading.posted("create", title="Printer")
    table = ("top", "desk", "ticket")
    shown = [Shown(Snapshot("1", "1", {"title": "Printer"}))]
    before = Doubt(reading.application, table)
    assert before.about(shown) == set()
    reading.posted("update", title="Printer on fire")
    assert reading.desk.tickets[1]["title"] == "Printer on fire"
    assert before.about(shown) == {"1"}
    assert Doubt(reading.application, table).about(shown) == set()
    [(correlation,)] = reading.ask("SELECT DISTINCT correlation_id::text FROM links")
    unlinked = [Shown(Snapshot("99", "1", {}), external_id=correlation)]
    assert before.about(unlinked) == {"99"}


def test_the_same_told_twice_is_taken_once(reading: Reading) -> None:
    reading.desk._created({"title": "Printer"})
    for _ in range(2):
        reading.told_of("1")
        reading.read()
    assert len(reading.captured()) == 1


def test_a_hook_that_comes_while_its_record_is_read_asks_for_it_again(
    reading: Reading,
) -> None:
    reading.told_of("1")
    [hint] = reading.questions.take([("top", "desk")], 5, 60.0)
    assert reading.questions.take([("top", "desk")], 5, 60.0) == []
    reading.told_of("1")
    reading.questions.done(hint)
    assert len(reading.questions.take([("top", "desk")], 5, 60.0)) == 1


def test_a_system_that_does_not_answer_is_asked_later_and_not_for_ever(
    reading: Reading,
) -> None:
    reading.desk._created({"title": "Printer"})
    reading.desk.said = lambda *_: (503, None)  # type: ignore[method-assign]
    reading.told_of("1")
    reading.read()
    [(attempts, waits)] = reading.ask("SELECT attempts, due_at > now() FROM hints")
    assert (attempts, waits) == (1, True)
    reading.ask(
        f"UPDATE hints SET attempts = {ATTEMPTS_MAX}, due_at = now() RETURNING 1"
    )
    reading.read()
    assert reading.ask("SELECT count(*) FROM hints") == [(0,)]


def test_a_record_that_is_not_there_is_let_go(reading: Reading) -> None:
    reading.told_of("404")
    reading.read()
    assert reading.captured() == []
    assert reading.ask("SELECT count(*) FROM hints") == [(0,)]


def shared(reading: Reading) -> None:
    """Ticket 1, which was told of and judged."""
    reading.desk._created({"title": "Printer"})
    reading.told_of("1")
    reading.read()
    reading.judge()


def test_a_shared_record_that_is_not_there_any_more_was_deleted(
    reading: Reading,
) -> None:
    shared(reading)
    del reading.desk.tickets[1]
    reading.told_of("1")
    reading.read()
    assert [c["operation"] for c in reading.captured()] == ["update", "delete"]
    assert reading.ask("SELECT count(*) FROM hints") == [(0,)]


@pytest.mark.parametrize("status", [403, 404])
def test_a_system_that_answers_so_to_everything_has_deleted_nothing(
    reading: Reading, status: int
) -> None:
    """Its URL leads elsewhere, or our account was taken its rights."""
    shared(reading)
    reading.desk.said = lambda *_: (status, None)  # type: ignore[method-assign]
    reading.told_of("1")
    reading.read()
    assert [c["operation"] for c in reading.captured()] == ["update"]
    assert reading.ask("SELECT attempts FROM hints") == [(1,)]


def test_what_may_be_hidden_is_not_taken_for_deleted(reading: Reading) -> None:
    """Where the description does not say that 404 means it."""
    key = RemoteSystem.id_of("top", "desk")
    system = reading.application.find(RemoteSystem, key)
    assert system is not None
    del system.settings["described"]["tables"]["ticket"]["missing_is_deleted"]
    system.change("changed", dict(system.settings), "test", clock())
    reading.application.save(system)
    shared(reading)
    del reading.desk.tickets[1]
    reading.application.configuration.refresh()
    reading.told_of("1")
    reading.read()
    assert [c["operation"] for c in reading.captured()] == ["update"]


def test_a_file_that_is_not_listed_any_more_was_removed(reading: Reading) -> None:
    reading.desk._created({"title": "Printer"})
    for name in ("a.txt", "b.txt"):
        reading.desk._attached(1, name, {"content-type": "text/plain"}, name.encode())
    reading.told_of("1")
    reading.read()
    reading.judge()
    gone = reading.desk.files[1].pop(0)
    reading.desk.edit(1, title="Printer on fire")
    reading.told_of("1")
    reading.read()
    [_, change] = reading.captured()
    told = {f["id"]: f.get("deleted", False) for f in change["attachments"]}
    assert told == {str(gone["id"]): True, str(reading.desk.files[1][0]["id"]): False}
