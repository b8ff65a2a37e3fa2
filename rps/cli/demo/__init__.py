"""rps demo: two companies on one machine, shown and left running."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rps.cli.demo.interrupts import Interrupts
from rps.cli.demo.processes import Processes
from rps.cli.demo.scene import Scene, forget, was_used
from rps.cli.demo.stage import Stage
from rps.cli.demo.story import Story
from rps.cli.demo.waiting import wait_until
from rps.cli.terminal import Exit, Failure, say
from rps.config import Config
from rps.sandbox.roundup.tracker import RoundupMissing, require_roundup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.cli.demo.company import Company

SECONDS_TO_READ = 1.0
INTERRUPTED = 128 + signal.SIGINT


@click.command()
@click.option(
    "--fresh/--continue",
    "fresh",
    default=None,
    help="What to do with a former run. Asked on a terminal; continued without one.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65532),
    help="Where Acme's API listens; its desk, Zenith's API and desk take the next "
    "three.  [8080, or as before]",
)
@click.option("--exit", "leave", is_flag=True, help="End after the show.")
@click.option("--fast", is_flag=True, help="Do not pause for readers.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it all lives.  [default: demo below RPS_DATA_DIR, .rps/demo]",
)
def demo(
    *,
    fresh: bool | None,
    port: int | None,
    leave: bool,
    fast: bool,
    data_dir: Path | None,
) -> None:
    """Show rps at work: a ServiceNow and a Roundup, kept in step by two nodes.

    Acme's desk is a ServiceNow instance (a stand-in that comes with rps), Zenith's a
    real Roundup tracker (pip install 'rps[demo]'). Each company has a node of its own
    on an embedded PostgreSQL. All of it runs as processes of their own; the demo plays
    what happens between them, and keeps running for you to try. Ctrl-C ends all of it.
    """
    _require_roundup()
    interrupts = Interrupts()
    folder = (data_dir or Config.from_environ().data_dir / "demo").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if was_used(folder) and _starts_fresh(fresh):
            forget(folder)
        scene = Scene.of(folder, port)
        with _running(scene, interrupts) as processes:
            pause = 0.0 if fast else SECONDS_TO_READ
            _play(scene, processes, pause=pause, stay=not leave)
            if not leave:
                _wait(processes)


def _require_roundup() -> None:
    try:
        require_roundup()
    except RoundupMissing:
        raise Failure(
            "Zenith's desk is a real tracker, Roundup, which is not installed:"
            " pip install 'rps[demo]', or run make demo, which does that by itself",
            Exit.USAGE,
        ) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"a demo is running in {folder} already") from None
        yield


def _starts_fresh(fresh: bool | None) -> bool:
    if fresh is not None:
        return fresh
    if not sys.stdin.isatty():
        return False
    answer = click.prompt(
        "Continue the former run, or start fresh?",
        type=click.Choice(("continue", "fresh")),
        default="continue",
        err=True,
    )
    return bool(answer == "fresh")


@contextmanager
def _running(scene: Scene, interrupts: Interrupts) -> Iterator[Processes]:
    """Whatever happens, nothing is left running."""
    servers = [each.server for each in scene.companies]
    processes = Processes(scene.folder, servers, interrupts)
    try:
        yield processes
    finally:
        interrupts.ignore()
        say("stopping everything …")
        processes.end()


def _play(scene: Scene, processes: Processes, *, pause: float, stay: bool) -> None:
    stage = Stage()
    scene.keep()  # the desks keep the passwords, once they are set up
    try:
        with ExitStack() as attached:
            for company in scene.companies:
                desk = f"its desk, a {company.desk.kind},"
                command = f"rps {' '.join(company.desk.command()[:2])}"
                with stage.status(_says(company, desk, command)):
                    company.start_desk(processes)
                with stage.status(_says(company, "its node", "rps serve --workers")):
                    company.start_node(processes)
                attached.enter_context(company.attached())
                company.configure()
                scene.keep()
                wait_until(company.is_at_work, "the workers work", processes)
            correlation_id = Story(stage, scene, processes, pause).play()
            tickets = {c.name: c.ticket_of(correlation_id) for c in scene.companies}
        if stay:
            _invite(stage, scene, correlation_id, tickets)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _says(company: Company, what: str, command: str) -> str:
    return f"{company.name.title()}: {what} runs ({command})"


def _invite(
    stage: Stage, scene: Scene, correlation_id: str, tickets: dict[str, str]
) -> None:
    """Say what to look at and what to try; each line works as it is printed."""
    program = _program()
    acme, zenith = scene.companies
    stage.act("Your turn", "All of it keeps running until Ctrl-C.")
    for company in scene.companies:
        desk = company.desk
        stage.print(
            f"\n  {company.name.title()}'s desk, a {desk.kind}\n"
            f"    {desk.page(tickets[company.name])}\n"
            f"    sign in as {desk.people[0]}, password {desk.password}"
        )
    stage.print(
        "\nYour browser does not know the certificate of Acme's stand-in: go on all\n"
        "the same. Change a field, write a comment or attach a file at one desk and\n"
        "save; two seconds later it is on the other one's page (reload it).\n"
        f"\nAcme's node: {acme.api}/v1/openapi.json\n"
        f"Zenith's node: {zenith.api}/v1/openapi.json\n"
        "\nIn another terminal, at Acme's node:\n"
    )
    settings = {**acme.settings(), "RPS_DATA_DIR": os.path.relpath(acme.folder)}
    if "RPS_CA_FILE" in settings:
        settings["RPS_CA_FILE"] = os.path.relpath(settings["RPS_CA_FILE"])
    for line in (
        f"export TOKEN={acme.token}",
        f'export AUTH="Authorization: Bearer $TOKEN" API={acme.api}/v1',
        'curl -H "$AUTH" "$API/correlations?limit=3"',
        f'curl -H "$AUTH" $API/correlations/{correlation_id}/timeline',
        'curl -H "$AUTH" $API/systems',
        "",
        *(f"export {name}={value}" for name, value in settings.items()),
        f"{program} status",
        f"{program} audit timeline {correlation_id}",
        f"{program} audit verify",
        f"{program} system check desk",
        f"{program} system pause zenith --reason 'to see messages wait'",
        f"{program} doctor",
    ):
        stage.line(line)
    stage.print()


def _program() -> str:
    """How this rps is called from here."""
    installed = Path(sys.executable).parent / "rps"
    if shutil.which("rps") == str(installed):
        return "rps"
    relative = os.path.relpath(installed)
    return str(installed) if relative.startswith("..") else relative


def _wait(processes: Processes) -> None:
    """Until Ctrl-C, which is the way to leave: no error."""
    with suppress(KeyboardInterrupt):
        while True:
            processes.require_running()
            time.sleep(0.5)
