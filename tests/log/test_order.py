from __future__ import annotations

import multiprocessing
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import psycopg
from logs import capture, captured, opened, stream

from rps.log.append import Appended
from rps.log.chain import verify

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from rps.log.recorder import LogRecorder

PROCESSES, THREADS, EACH = 4, 2, 60

PLAIN = "CREATE TABLE plain (id bigserial PRIMARY KEY, writer text)"


def write(dsn: str, process: int, start: Barrier) -> None:
    """One process with two threads, each appending to a stream of its own."""
    with opened(dsn) as recorder:

        def run(thread: int) -> None:
            name = f"{process}-{thread}"
            for number in range(EACH):
                pair = [captured(f"{name}-{number}-{n}", name) for n in range(2)]
                outcome = recorder.append([capture(*pair)])[0]
                assert isinstance(outcome, Appended)

        start.wait(30)
        threads = [Thread(target=run, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Tail:
    """Reads what is new by position alone, as every follower does."""

    def __init__(self, recorder: LogRecorder) -> None:
        self.positions: list[int] = []
        self._recorder = recorder
        self._stop = Event()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        ending = False
        while not ending:
            ending = self._stop.is_set()
            last = self.positions[-1] if self.positions else 0
            self.positions += [r.position for r in self._recorder.read(last, 50)]
            ending = ending and (self.positions or [0])[-1] == last


def test_a_reader_at_the_tail_of_many_writers_skips_nothing(database: str) -> None:
    context: Any = multiprocessing.get_context("spawn")
    start = context.Barrier(PROCESSES)
    writers = [
        context.Process(target=write, args=(database, number, start))
        for number in range(PROCESSES)
    ]
    with opened(database) as recorder:
        tail = Tail(recorder)
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(120)
        tail.end()
        rows = recorder.read(0, 10_000)
        head = recorder.head()
    assert [writer.exitcode for writer in writers] == [0] * PROCESSES
    events = PROCESSES * THREADS * EACH * 2
    assert tail.positions == list(range(1, events + 1))
    assert verify(rows, head=head).breaks == ()
    versions = [r.version for r in rows if r.originator_id == stream("3-1")]
    assert versions == list(range(1, EACH * 2 + 1))


def test_a_reader_of_plain_serial_numbers_would_skip(database: str) -> None:
    """The control: without the append lock the same reading loses a row. Numbers are
    given in one order and committed in another, here with both orders chosen."""
    with (
        psycopg.connect(database, autocommit=True) as reader,
        psycopg.connect(database) as slow,
        psycopg.connect(database) as fast,
    ):
        reader.execute(PLAIN)
        seen: list[int] = []

        def read() -> None:
            last = seen[-1] if seen else 0
            seen.extend(
                row[0]
                for row in reader.execute(
                    "SELECT id FROM plain WHERE id > %s ORDER BY id", [last]
                )
            )

        slow.execute("INSERT INTO plain (writer) VALUES ('slow')")
        fast.execute("INSERT INTO plain (writer) VALUES ('fast')")
        fast.commit()
        read()
        slow.commit()
        read()
    assert seen == [2]
