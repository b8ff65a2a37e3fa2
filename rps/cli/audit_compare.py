"""rps audit compare: what one company sent, and what the other one received."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rps.cli.audit_verify import held_of, held_options
from rps.cli.terminal import Exit, Failure, output_option, say, show, show_json
from rps.log.chain import Row
from rps.log.compared import NothingInCommon, Side, sides_shown
from rps.log.compared import compare as compare_sides
from rps.log.examining import Examiner
from rps.log.exported import Proven, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rps.log.examining import Examined
    from rps.log.exported import Read
    from rps.log.note import Note, PublicKey
    from rps.log.trust import Held

COLUMNS = ("log", "what", "position", "at", "operation", "hash", "fields")


@click.command()
@click.argument("one", metavar="A", type=click.Path(exists=True, dir_okay=False))
@click.argument("other", metavar="B", type=click.Path(exists=True, dir_okay=False))
@held_options
@output_option
def compare(
    *,
    one: str,
    other: str,
    keys: tuple[list[PublicKey], ...],
    checkpoints: tuple[list[Note], ...],
    output: str,
) -> None:
    """Lay the exports A and B of two linked nodes side by side.

    Each message has the same id in both: what one sent has to be what the other one
    received, field by field. Both exports are verified as well, with the keys and
    checkpoints of either. Exit 5 where they differ, 1 where one is not what was
    written.
    """
    names = _names(Path(one), Path(other))
    sides = [Side(name) for name in names]
    found = [
        _read(Path(path), side, held_of(keys, checkpoints))
        for path, side in zip((one, other), sides, strict=True)
    ]
    try:
        compared = compare_sides(*sides)
    except NothingInCommon:
        raise Failure(
            "no message is in both: these are not logs of two linked nodes, or of other"
            " times"
        ) from None
    broken = [
        f"{side.name} is broken at {each.breaks[0].position}: {each.breaks[0].detail}"
        for side, each in zip(sides, found, strict=True)
        if each.breaks
    ]
    differences = [asdict(each) for each in compared.differences]
    if output == "json":
        counts = {"same": compared.same, "later": compared.later}
        show_json({**counts, "differences": differences, "broken": broken})
    else:
        _print(compared.same, compared.later, broken)
        for difference in compared.differences[:1]:
            click.echo(f"{difference.message_id}: {difference.detail}")
            show(list(sides_shown(difference, *sides)), COLUMNS, output)
    if differences:
        raise Failure(f"{len(differences)} message(s) differ", Exit.DIFFERENT)
    if broken:
        raise Failure("; ".join(broken), Exit.FAILED)


def _print(same: int, later: int, broken: list[str]) -> None:
    for text in broken:
        say(text)
    say(f"{same} message(s) are the same in both")
    if later:
        say(f"{later} more are too young for the other export: compare newer ones")


def _read(path: Path, side: Side, held: Held) -> Examined:
    """Verified while it is read."""
    with path.open("rb") as file:
        return Examiner(held).examine(_told(read(file), side))


def _told(items: Iterable[Read], side: Side) -> Iterator[Read]:
    for item in items:
        row: Any = item.row if isinstance(item, Proven) else item
        if isinstance(row, Row):
            side.add(row)
        yield item


def _names(one: Path, other: Path) -> tuple[str, str]:
    """What the two are called; their files have names of their own, mostly."""
    if one.stem != other.stem:
        return one.stem, other.stem
    return str(one), str(other)
