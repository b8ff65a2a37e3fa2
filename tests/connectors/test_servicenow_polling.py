"""Nothing that changes there is missed, and nothing is shown that was not asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from servicenow_cases import CORRELATION, Case

from rps.connectors.servicenow import journals
from rps.connectors.servicenow.lists import PAGE
from rps.connectors.transport import Answer, Headers
from rps.domain.delivery import FROM, Changes, Incoming, Missing, Refused, Unavailable

if TYPE_CHECKING:
    from rps.connectors.transport import Request
    from rps.domain.delivery import Shown


@pytest.fixture
def case() -> Case:
    return Case()


class Follower:
    """Polls as the poller does, and keeps what it was shown."""

    def __init__(self, case: Case) -> None:
        self.case = case
        came = case.connector.changes_since("incident", None)
        assert isinstance(came, Changes)
        assert came.records == ()
        self.cursor = came.cursor
        self.seen: set[tuple[str, str]] = set()
        self.entries: list[str] = []
        self.files: list[str] = []
        self.deleted: set[str] = set()
        self.fields: dict[str, dict[str, Any]] = {}

    def page(self) -> bool:
        """Whether there is more."""
        came = self.case.connector.changes_since("incident", self.cursor)
        assert isinstance(came, Changes), came
        for shown in came.records:
            self._note(shown)
        self.cursor = json.loads(json.dumps(came.cursor))
        return came.has_more

    def catch_up(self, seconds: float = 15.0) -> None:
        self.case.there.clock.now += seconds
        while self.page():
            pass

    def _note(self, shown: Shown) -> None:
        record = shown.record
        if record.deleted:
            self.deleted.add(record.record_id)
        if record.revision is not None:
            self.seen.add((record.record_id, record.revision))
            self.fields[record.record_id] = dict(record.fields)
        for each in shown.entries:
            if each["id"] not in self.entries:
                self.entries.append(each["id"])
        for each in shown.attachments:
            if each["id"] not in self.files:
                self.files.append(each["id"])


def test_ten_thousand_records_of_which_two_thousand_share_a_second_are_all_seen(
    case: Case,
) -> None:
    """They are edited while they are polled."""
    chance = Random(6)
    follower = Follower(case)
    there = case.there
    ids = []
    for number in range(10_000):
        if not 3_000 <= number < 5_000:
            there.clock.now += 0.05
        ids.append(there.insert(sys_id=f"{chance.getrandbits(128):032x}"))
    pages = 0
    while follower.page():
        pages += 1
        there.clock.now += 0.2
        for record_id in chance.sample(ids, 5):
            there.edit(record_id, short_description=f"edit {pages}")
    for _ in range(3):
        follower.catch_up()
    now = {(key, row["sys_mod_count"]) for key, row in there.tables["incident"].items()}
    assert now <= follower.seen
    assert pages > 10_000 / PAGE / 2  # a page may hold the rest of a second as well


def test_a_record_that_shows_only_seconds_after_its_stamp_is_not_missed(
    case: Case,
) -> None:
    """A transaction stamps its record when it writes, and shows it when it commits."""
    chance = Random(7)
    follower = Follower(case)
    there = case.there
    late: list[tuple[float, str, dict[str, str]]] = []
    for number in range(400):
        there.clock.now += 0.4
        key = there.insert(sys_id=f"{chance.getrandbits(128):032x}")
        if chance.random() < 0.3:
            row = there.tables["incident"].pop(key)
            late.append((there.clock.now + chance.uniform(0, 4.5), key, row))
        for each in [each for each in late if each[0] <= there.clock.now]:
            late.remove(each)
            there.tables["incident"][each[1]] = each[2]
        if number % 3 == 0:
            follower.page()
    for _, key, row in late:
        there.tables["incident"][key] = row
    for _ in range(3):
        follower.catch_up()
    assert {key for key, _ in follower.seen} == set(there.tables["incident"])


def test_a_quiet_table_costs_one_request_a_list_and_shows_nothing(case: Case) -> None:
    follower = Follower(case)
    for _ in range(2_000):
        case.there.insert()
    for _ in range(3):
        follower.catch_up()
    case.calls()
    came = case.connector.changes_since("incident", follower.cursor)
    assert isinstance(came, Changes)
    assert came.records == ()
    assert not came.has_more
    assert case.calls() == ["GET", "GET", "GET"]  # records, files, deletions


@pytest.mark.parametrize("hidden", [250, 12_000])
def test_what_the_account_may_not_see_hides_nothing_behind_it(
    case: Case, hidden: int
) -> None:
    """The limit counts what is hidden: a page may be empty in the middle."""
    follower = Follower(case)
    for _ in range(hidden):
        case.there.hidden.add(case.there.insert())
    case.there.clock.now += 1
    shown = [case.there.insert() for _ in range(150)]
    for _ in range(2):
        follower.catch_up()
    assert {key for key, _ in follower.seen} == set(shown)


def test_an_empty_page_that_should_not_be_is_asked_for_again(case: Case) -> None:
    follower = Follower(case)
    shown = {case.there.insert() for _ in range(250)}
    empty = [case.there.answer(200, [], **{"x-total-count": "250"})]
    case.there.instead = lambda r: (
        empty.pop() if empty and "incident?" in r.url else None
    )
    for _ in range(2):
        follower.catch_up()
    assert {key for key, _ in follower.seen} == shown


def test_entries_come_with_their_record_each_once_and_in_order(case: Case) -> None:
    follower = Follower(case)
    record_id = case.there.insert()
    for text in ("one", "two", "three"):
        case.there.clock.now += 7
        case.there.edit(record_id, comments=text)
    case.there.edit(record_id, work_notes="hush")
    follower.catch_up()
    rows = case.there.tables["sys_journal_field"]
    assert [rows[key]["value"] for key in follower.entries] == [
        *("three", "hush", "one", "two"),
    ]
    case.there.clock.now += 60
    case.there.edit(record_id, comments="four")
    follower.catch_up()
    assert rows[follower.entries[-1]]["value"] == "four"
    assert len(follower.entries) == 5


def test_entries_of_before_come_along_in_the_order_they_were_written(
    case: Case,
) -> None:
    """They used to follow the newest one: so they were read at the other side."""
    follower = Follower(case)
    record_id = case.there.insert()
    for text in ("one", "two", "three"):
        case.there.clock.now += 7
        case.there.edit(record_id, comments=text)
    case.there.clock.now += 7
    came = case.connector.changes_since("incident", follower.cursor)
    assert isinstance(came, Changes)
    changed, *alone = came.records
    texts = [e["text"] for e in (*changed.earlier, *changed.entries)]
    assert texts == ["one", "two", "three"]
    assert [e["text"] for each in alone for e in each.entries] == ["one", "two"]


def test_a_record_is_shown_alike_by_its_own_list_and_for_its_file(case: Case) -> None:
    """For its file it was shown without what was said, which then came by itself."""
    follower = Follower(case)
    record_id = case.there.insert()
    case.there.edit(record_id, comments="Smoke")
    case.there.attach(record_id, "log.txt", b"lines")
    case.there.clock.now += 7
    came = case.connector.changes_since("incident", follower.cursor)
    assert isinstance(came, Changes)
    changed = [each for each in came.records if each.record.fields]
    assert len(changed) == 2
    assert changed[0] == changed[1]
    assert [each["text"] for each in changed[0].entries] == ["Smoke"]


def test_more_entries_than_an_answer_holds_are_read_in_parts(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "ROWS_MAX", 3)
    follower = Follower(case)
    for number in range(4):
        record_id = case.there.insert()
        for text in ("one", "two"):
            case.there.edit(record_id, comments=f"{text} of {number}")
    follower.catch_up()
    assert len(follower.entries) == 8


def test_what_was_there_before_is_read_from_the_moment_that_is_given(
    case: Case,
) -> None:
    old = case.there.insert()
    case.there.clock.now += 86_400
    since = datetime.fromtimestamp(case.there.clock.now, UTC).isoformat()
    record_id = case.there.insert()
    case.there.edit(record_id, comments="from before")
    file_id = case.there.attach(record_id, "log.txt", b"lines")
    case.there.clock.now += 86_400
    follower = Follower(case)
    follower.cursor = {FROM: since}
    follower.catch_up()
    assert set(follower.fields) == {record_id}
    assert old not in follower.fields
    assert len(follower.entries) == 1
    assert follower.files == [file_id]
    case.there.edit(old, short_description="and it goes on")
    follower.catch_up()
    assert old in follower.fields


def test_an_entry_from_while_the_poller_was_away_is_seen_however_long(
    case: Case,
) -> None:
    follower = Follower(case)
    record_id = case.there.insert()
    follower.catch_up()
    for text in ("one", "two"):
        case.there.clock.now += 86_400
        case.there.edit(record_id, comments=text)
    for _ in range(500):
        case.there.clock.now += 10
        case.there.insert()
    case.there.edit(record_id, short_description="moved to the end")
    follower.catch_up()
    assert len(follower.entries) == 2


def test_files_are_seen_though_they_stamp_no_record(case: Case) -> None:
    follower = Follower(case)
    record_id = case.there.insert()
    follower.catch_up(60)
    key = case.there.attach(record_id, "shot.png", b"bytes")
    follower.catch_up()
    assert follower.files == [key]
    came = case.connector.open_file(key)
    assert isinstance(came, Incoming)
    assert b"".join(came.pieces) == b"bytes"
    assert isinstance(case.connector.open_file("f" * 32), Missing)


def test_deletions_are_seen_where_they_may_be_read(case: Case) -> None:
    follower = Follower(case)
    record_id = case.there.insert()
    follower.catch_up()
    case.there.delete(record_id)
    follower.catch_up()
    assert follower.deleted == {record_id}


def test_without_the_right_to_read_deletions_all_else_is_polled(case: Case) -> None:
    follower = Follower(case)

    def denied(request: Request) -> Answer | None:
        if "sys_audit_delete" in request.url:
            return case.there.error(403, "Operation Failed", "ACL")
        return None

    case.there.instead = denied
    record_id = case.there.insert()
    follower.catch_up()
    assert (record_id, "0") in follower.seen


def test_an_hour_between_the_clocks_loses_nothing(case: Case) -> None:
    for ahead in (3600.0, -3600.0):
        case = Case()
        case.there.ahead = ahead
        follower = Follower(case)
        shown = set()
        for _ in range(50):
            case.there.clock.now += 3
            shown.add(case.there.insert())
            follower.page()
        follower.catch_up()
        assert {key for key, _ in follower.seen} == shown


def test_a_query_that_is_ignored_ends_the_poll_instead_of_showing_everything(
    case: Case,
) -> None:
    case.there.insert()
    case.there.clock.now += 3600
    follower = Follower(case)
    everything = case.there.answer(
        200,
        [dict(row) for row in case.there.tables["incident"].values()],
        **{"x-total-count": "1"},
    )
    case.there.instead = lambda r: everything if "incident?" in r.url else None
    came = case.connector.changes_since("incident", follower.cursor)
    assert isinstance(came, Refused)
    assert "does not sort and filter by sys_updated_on" in came.detail


def test_a_failing_list_moves_no_cursor(case: Case) -> None:
    follower = Follower(case)
    case.there.insert()
    case.there.instead = lambda r: (
        Answer(503, Headers({}), b"", 0.0) if "attachment" in r.url else None
    )
    came = case.connector.changes_since("incident", follower.cursor)
    assert isinstance(came, Unavailable)
    case.there.instead = lambda _request: None
    follower.catch_up()
    assert len(follower.seen) == 1


def test_an_unreadable_cursor_is_refused(case: Case) -> None:
    came = case.connector.changes_since("incident", {"records": {"marks": 3}})
    assert isinstance(came, Refused)


def test_our_own_records_are_shown_with_the_correlation_they_are_of(
    case: Case,
) -> None:
    _follower = Follower(case)
    ours = case.there.insert(correlation_id=CORRELATION)
    other = case.there.insert(correlation_id="JIRA-17")
    came = case.connector.changes_since("incident", _follower.cursor)
    assert isinstance(came, Changes)
    told = {shown.record.record_id: shown.external_id for shown in came.records}
    assert told == {ours: CORRELATION, other: ""}
    case.there.hidden_fields.add("correlation_id")
    came = case.connector.changes_since("incident", _follower.cursor)
    assert isinstance(came, Changes)
    assert {shown.external_id for shown in came.records} == {None}


def test_a_record_is_found_by_a_field_and_only_if_it_is_the_only_one(
    case: Case,
) -> None:
    first = case.there.insert(short_description="Fire")
    found = case.connector.find("incident", "short_description", "Fire")
    assert found.record_id == first
    assert isinstance(
        case.connector.find("incident", "short_description", "x"), Missing
    )
    case.there.insert(short_description="Fire")
    assert isinstance(
        case.connector.find("incident", "short_description", "Fire"), Refused
    )
    assert isinstance(case.connector.find("incident", "u_gone", "Fire"), Refused)
    assert isinstance(case.connector.find("incident", "state", "1^ORstate=2"), Refused)
