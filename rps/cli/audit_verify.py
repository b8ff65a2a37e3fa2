"""rps audit verify: the log, or an export of it without a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rps.application.audit_export import AuditExport
from rps.application.checkpoints import Checkpoints
from rps.application.reads import Reads
from rps.cli.session import open_session
from rps.cli.terminal import (
    Exit,
    Failure,
    output_option,
    progress,
    say,
    show,
    show_json,
)
from rps.log import reads as looking
from rps.log.chain import GENESIS
from rps.log.checkpoint import notes_in
from rps.log.examining import Examined, Examiner
from rps.log.exported import read
from rps.log.note import NoteUnreadable, PublicKey
from rps.log.trust import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rps.cli.session import Session
    from rps.log.chain import Break
    from rps.log.note import Note

EXPORT = click.Path(exists=True)
SUFFIXES = (".ndjson", ".csv")
BREAKS_SHOWN = 20


class Kept(click.ParamType[tuple[int, bytes]]):
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


class Notes(click.ParamType["list[Note]"]):
    """A file of checkpoints, as a witness keeps it."""

    name = "FILE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[Note]:
        """Override click's."""
        if isinstance(value, list):
            return value
        try:
            found = list(notes_in(Path(value).read_text("utf-8")))
        except (OSError, UnicodeDecodeError, NoteUnreadable) as error:
            self.fail(f"{value}: {error}", param, ctx)
        if not found:
            self.fail(f"{value} holds no checkpoint", param, ctx)
        return found


class Keys(click.ParamType["list[PublicKey]"]):
    """A key as `rps audit key show` prints it, or a file of them, one a line."""

    name = "KEY|FILE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[PublicKey]:
        """Override click's."""
        if isinstance(value, list):
            return value
        try:
            is_file = "+" not in value or Path(value).is_file()
            lines = Path(value).read_text("utf-8") if is_file else value
            return [PublicKey.of(line) for line in lines.split("\n") if line.strip()]
        except (OSError, UnicodeDecodeError, NoteUnreadable) as error:
            self.fail(str(error), param, ctx)


def held_options(command: Callable[..., None]) -> Callable[..., None]:
    """What is known from outside, as `checkpoints` and `keys`."""
    for option in (
        click.option(
            "--key",
            "keys",
            type=Keys(),
            multiple=True,
            help="A public key that you got elsewhere; may be repeated.",
        ),
        click.option(
            "--checkpoint",
            "checkpoints",
            type=Notes(),
            multiple=True,
            help="Checkpoints that a witness kept; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def held_of(
    keys: Sequence[list[PublicKey]],
    checkpoints: Sequence[list[Note]],
    against: Sequence[tuple[int, bytes]] = (),
) -> Held:
    return Held(
        tuple(key for some in keys for key in some),
        tuple(note for some in checkpoints for note in some),
        dict(against),
    )


@click.command()
@click.argument("exports", metavar="[EXPORT]...", nargs=-1, type=EXPORT)
@held_options
@click.option(
    "--against",
    type=Kept(),
    multiple=True,
    help="A position and its hash that you kept somewhere else.",
)
@output_option
def verify(
    *,
    exports: tuple[str, ...],
    keys: tuple[list[PublicKey], ...],
    checkpoints: tuple[list[Note], ...],
    against: tuple[tuple[int, bytes], ...],
    output: str,
) -> None:
    """Check the log, or each EXPORT of one, and say what that proves.

    Without EXPORT: the log of this node. With it, neither node nor database is asked;
    a folder stands for its .ndjson and .csv files. Exit 1 where something is not what
    was written, signed or seen by a witness.

    Prints where the log ends as POSITION:HASH.
    """
    held = held_of(keys, checkpoints, against)
    if not exports:
        _verify_log(held, output)
        return
    found = {str(path): examined(path, held) for path in _files(exports)}
    if output == "json":
        show_json([{"file": name, **_shown(each)} for name, each in found.items()])
    else:
        for name, each in found.items():
            say(f"{name}:")
            _print(each)
    _fail({name: each.breaks for name, each in found.items()})


def _verify_log(held: Held, output: str) -> None:
    with open_session() as session, progress("events") as tell:
        found = verified_log(session, tell, held)
        looked = _verified_reads(session, found)
    wrong_reads = [_break(each) for each in looked.breaks]
    if output == "json":
        shown = _shown(found)
        show_json({**shown, "reads": looked.count, "wrong_reads": wrong_reads})
    else:
        _print(found)
        say(f"{looked.count} read(s) of records checked")
        if wrong_reads:
            show(wrong_reads, ("position", "detail"), output, title="reads")
    _fail({"the log": found.breaks, "the reads": list(looked.breaks)})


def verified_log(
    session: Session, tell: Callable[[int, int], None], held: Held | None = None
) -> Examined:
    """The whole log of this node as it is now."""
    checkpoints = Checkpoints(session.application)
    export = AuditExport(session.application, checkpoints, tell)
    return Examiner(held or Held()).examine(export.log())


def examined(path: Path, held: Held) -> Examined:
    with path.open("rb") as file:
        return Examiner(held).examine(read(file))


def _verified_reads(session: Session, found: Examined) -> looking.ReadsVerified:
    reads = Reads(session.application.datastore)
    after = reads.forgotten()
    return looking.verify(reads.all(after[0]), after, found.reads)


def _files(exports: Sequence[str]) -> Iterator[Path]:
    for path in map(Path, exports):
        if not path.is_dir():
            yield path
            continue
        inside = [each for each in sorted(path.iterdir()) if each.suffix in SUFFIXES]
        if not inside:
            raise click.UsageError(f"{path} has no {' or '.join(SUFFIXES)} files")
        yield from inside


def _break(found: Break) -> dict[str, Any]:
    return {"position": found.position, "detail": found.detail}


def _shown(found: Examined) -> dict[str, Any]:
    return {
        "events": found.events,
        "head": found.position,
        "hash": found.hash.hex(),
        "origin": found.origin,
        "selection": found.selection,
        "checkpoints": found.checkpoints,
        "signed_to": found.signed_to,
        "seen_to": found.seen_to,
        "keys": [str(key) for key in found.keys],
        "breaks": [_break(each) for each in found.breaks],
        "unproven": found.unproven,
    }


def _print(found: Examined) -> None:
    if found.selection is None:
        click.echo(f"{found.position}:{found.hash.hex()}")
    else:
        about = ", ".join(f"{name} {value}" for name, value in found.selection.items())
        click.echo(f"{found.events} event(s) of {about or 'the log'}")
    say(f"{found.events} event(s) read")
    if found.breaks:
        breaks = [_break(each) for each in found.breaks]
        show(breaks[:BREAKS_SHOWN], ("position", "detail"), "table")
        if len(breaks) > BREAKS_SHOWN:
            say(f"and {len(breaks) - BREAKS_SHOWN} more")
        return
    if found.signed_to:
        signers = ", ".join(str(key) for key in found.keys)
        say(f"signed up to event {found.signed_to}, by {signers}")
    if found.seen_to:
        say(f"seen by a witness up to event {found.seen_to}")
    for text in found.unproven:
        say(f"not proven: {text}")


def _fail(found: dict[str, list[Break]]) -> None:
    told = [
        f"{name} is broken in {len(breaks)} place(s), first at {breaks[0].position}: "
        + breaks[0].detail
        for name, breaks in found.items()
        if breaks
    ]
    if told:
        raise Failure("; ".join(told), Exit.FAILED)
