"""rps audit: the log exported, verified, and read as a story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import orjson

from rps.cli.session import open_session
from rps.cli.terminal import (
    Exit,
    Failure,
    output_option,
    progress,
    say,
    show,
    show_json,
    to_stdout,
)
from rps.cli.timeline import timeline_rows, timeline_table
from rps.log.chain import GENESIS, Break, Verified, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from rps.cli.session import Session
    from rps.log.chain import Row
    from rps.log.recorder import LogRecorder

BATCH = 2_000


class Checkpoint(click.ParamType[tuple[int, bytes]]):
    """POSITION:HASH, as an earlier verify printed it."""

    name = "POSITION:HASH"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, bytes]:
        """Override click's."""
        position, _, text = value.partition(":")
        try:
            found = int(position), bytes.fromhex(text)
        except ValueError:
            self.fail(f"{value!r}: give POSITION:HASH", param, ctx)
        if len(found[1]) != len(GENESIS):
            self.fail(f"{value!r}: the hash has 64 hexadecimal digits", param, ctx)
        return found


@click.group()
def audit() -> None:
    """Export, verify and read the log of all that happened."""


@audit.command()
@click.argument("file", type=click.File("wb"), default="-")
@click.option("--after", default=0, help="Begin past this position.")
def export(file: BinaryIO, after: int) -> None:
    """Write the log to FILE or stdout, as NDJSON: one event a line, with its hash.

    The lines are those of GET /v1/audit: `event` is what is stored, byte for byte, so
    the hashes can be computed again from them.
    """
    with open_session() as session, progress("events") as tell:
        recorder = session.application.recorder
        count = 0
        for row in rows_of(recorder, tell, after):
            file.write(_line(row))
            count += 1
    say(f"{count} event(s) exported")


def _line(row: Row) -> bytes:
    return orjson.dumps(
        {
            "position": row.position,
            "stream": row.originator_id,
            "version": row.version,
            "topic": row.topic,
            "at": orjson.loads(row.state)["timestamp"]["_data_"],
            "hash": row.hash.hex(),
            "event": orjson.Fragment(row.state),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


@audit.command(name="verify")
@click.option(
    "--against",
    type=Checkpoint(),
    help="A position and its hash that you kept somewhere else.",
)
@output_option
def verify_log(against: tuple[int, bytes] | None, output: str) -> None:
    """Check the hash chain of the whole log; exit 1 where it was tampered with.

    Prints where the log ends as POSITION:HASH. Keep that on another machine: whoever
    can rewrite the whole database can rewrite its hashes, but not your copy.
    """
    with open_session() as session, progress("events") as tell:
        verified = verified_log(session, tell, against)
    breaks = [{"position": b.position, "detail": b.detail} for b in verified.breaks]
    if output == "json":
        show_json(
            {
                "events": verified.events,
                "head": verified.position,
                "hash": verified.hash.hex(),
                "breaks": breaks,
            }
        )
    else:
        click.echo(f"{verified.position}:{verified.hash.hex()}")
        say(f"{verified.events} event(s) read")
        show(breaks, ("position", "detail"), output, empty="unbroken")
    if breaks:
        raise Failure(f"the log is broken in {len(breaks)} place(s)", Exit.FAILED)


def verified_log(
    session: Session,
    tell: Callable[[int, int], None],
    against: tuple[int, bytes] | None = None,
) -> Verified:
    """The whole chain, where it ends, and what you kept of it, compared."""
    recorder = session.application.recorder
    seen: list[bytes] = []
    # The head is read first: what is appended meanwhile is for the next time.
    head, head_hash = recorder.head()

    def until_head() -> Iterator[Row]:
        for row in rows_of(recorder, tell, 0, head):
            if against is not None and row.position == against[0]:
                seen.append(row.hash)
            yield row

    verified = verify(until_head())
    breaks = list(verified.breaks)
    if (verified.position, verified.hash) != (head, head_hash):
        breaks.append(Break(head, "the log does not end where its head says"))
    if against is not None and seen != [against[1]]:
        breaks.append(Break(against[0], "not the hash that you kept"))
    return Verified(verified.events, verified.position, verified.hash, tuple(breaks))


def rows_of(
    recorder: LogRecorder,
    tell: Callable[[int, int], None],
    after: int,
    until: int | None = None,
) -> Iterator[Row]:
    """Stored rows in order, up to position `until` or where the log ends now."""
    end = recorder.head()[0] if until is None else until
    while after < end and (rows := recorder.read(after, BATCH)):
        for row in rows:
            if row.position > end:
                return
            yield row
        after = rows[-1].position
        tell(min(after, end), end)


@audit.command()
@click.argument("correlation")
@output_option
def timeline(correlation: str, output: str) -> None:
    """Tell what happened to one shared record, event by event.

    CORRELATION is its id, or the id of one of its records, like INC0000001.
    """
    with open_session() as session:
        rows: list[dict[str, Any]] = timeline_rows(session, correlation)
    if output == "json":
        show_json(rows)
    else:
        to_stdout().print(timeline_table(rows))
