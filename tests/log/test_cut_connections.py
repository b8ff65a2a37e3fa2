"""Connections that end around a commit: what was committed is acknowledged once."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cutting_proxy import cutting
from eventsourcing.persistence import OperationalError
from examples import example
from logs import capture, captured, opened

from rps.log.append import Append, Appended
from rps.log.chain import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cutting_proxy import CuttingProxy

    from rps.log.recorder import LogRecorder

CUTS = 50


@pytest.fixture
def proxy(database: str) -> Iterator[CuttingProxy]:
    # Not tmp_path: a socket's path may have about a hundred characters.
    with (
        tempfile.TemporaryDirectory(prefix="rps-cut-") as folder,
        cutting(Path(folder), database) as made,
    ):
        yield made


@pytest.fixture
def recorder(proxy: CuttingProxy) -> Iterator[LogRecorder]:
    with opened(proxy.dsn) as made:
        yield made


def positions(recorder: LogRecorder, *events: Any) -> list[Any]:
    outcome = recorder.append([capture(*events)])[0]
    assert isinstance(outcome, Appended), outcome
    return list(outcome.positions)


def assert_whole(recorder: LogRecorder, events: int) -> None:
    rows = recorder.read(0, events + 100)
    assert [r.position for r in rows] == list(range(1, events + 1))
    assert verify(rows, head=recorder.head()).breaks == ()


def test_a_commit_whose_answer_was_lost_is_acknowledged_and_not_repeated(
    recorder: LogRecorder, proxy: CuttingProxy
) -> None:
    for number in range(CUTS):
        proxy.cut_next("committed")
        assert positions(recorder, captured(f"c{number}")) == [number + 1]
    assert proxy.cuts == CUTS
    assert_whole(recorder, CUTS)


def test_a_write_that_never_arrived_is_written_again(
    recorder: LogRecorder, proxy: CuttingProxy
) -> None:
    for number in range(CUTS // 2):
        proxy.cut_next("written", "committed") if number % 2 else proxy.cut_next(
            "written"
        )
        assert positions(recorder, captured(f"c{number}")) == [number + 1]
    assert proxy.cuts == CUTS // 2 + CUTS // 4
    assert_whole(recorder, CUTS // 2)


def test_a_group_survives_cuts_together(
    recorder: LogRecorder, proxy: CuttingProxy
) -> None:
    each = 20

    def run(thread: int) -> list[Any]:
        found = []
        for number in range(each):
            proxy.cut_next("committed")
            found += positions(recorder, captured(f"{thread}-{number}", f"R{thread}"))
        return found

    with ThreadPoolExecutor(6) as pool:
        found = sorted(p for mine in pool.map(run, range(6)) for p in mine)
    assert found == list(range(1, 6 * each + 1))
    assert proxy.cuts > each
    assert_whole(recorder, 6 * each)


def test_versions_that_were_given_are_no_conflict_with_themselves(
    recorder: LogRecorder, proxy: CuttingProxy
) -> None:
    """The library tried again and took its own event for somebody else's."""
    for version in range(1, 11):
        event = captured(f"c{version}", originator_version=version)
        proxy.cut_next("committed")
        assert recorder.insert_events([recorder.mapper.to_stored_event(event)]) == [
            version
        ]
    assert proxy.cuts == 10


def test_a_server_out_of_reach_acknowledges_nothing_and_is_found_again(
    recorder: LogRecorder,
    proxy: CuttingProxy,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rps.log.connection.CONNECT_SECONDS", 0.3)
    proxy.cut_next(*["written"] * 3)
    outcome = recorder.append([capture(captured("a"))])[0]
    assert isinstance(outcome, OperationalError)
    with opened(database) as direct:
        assert direct.head()[0] == 0
    assert positions(recorder, captured("a")) == [1]
    assert_whole(recorder, 1)


def test_a_group_in_which_one_is_refused_is_cut_too(
    recorder: LogRecorder, proxy: CuttingProxy
) -> None:
    proxy.cut_next("committed")
    taken, refused = recorder.append(
        [
            capture(captured("a")),
            Append([example("system.activated", originator_version=5)]),
        ]
    )
    assert isinstance(taken, Appended)
    assert "is at 0" in str(refused)
    assert proxy.cuts == 1
    assert_whole(recorder, 1)
