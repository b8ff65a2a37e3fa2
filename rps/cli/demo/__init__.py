"""rps demo: the whole product on one machine, shown and left running."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from rps.cli.demo.processes import Processes
from rps.cli.demo.scene import Scene, forget, was_used
from rps.cli.demo.stage import Stage
from rps.cli.demo.story import Story
from rps.cli.session import Session, application_of
from rps.cli.terminal import Failure, say
from rps.config import Config
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS_TO_READ = 1.0
TERMINATED = 128 + signal.SIGTERM
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
    type=click.IntRange(1, 65533),
    help="Where the API listens; the ticket systems take the next two.  "
    "[8080, or as before]",
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
    """Show rps at work: a node and two ticket systems, kept in step.

    Starts an embedded PostgreSQL, a node and two small ticket systems as processes of
    their own, plays what happens between two companies, and keeps running for you to
    try. Ctrl-C ends all of it.
    """
    signal.signal(signal.SIGTERM, _terminated)
    folder = (data_dir or Config.from_environ().data_dir / "demo").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if was_used(folder) and _starts_fresh(fresh):
            forget(folder)
        scene = Scene.of(folder, port)
        with _running(scene) as processes:
            pause = 0.0 if fast else SECONDS_TO_READ
            _play(scene, processes, pause=pause, stay=not leave)
            if not leave:
                _wait(processes)


def _terminated(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)


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
def _running(scene: Scene) -> Iterator[Processes]:
    """Whatever happens, nothing is left running."""
    processes = Processes(scene.folder, scene.environ())
    try:
        yield processes
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        say("stopping everything …")
        processes.end()


def _play(scene: Scene, processes: Processes, *, pause: float, stay: bool) -> None:
    stage = Stage()
    try:
        with stage.status("PostgreSQL, API and workers run (rps serve --workers)"):
            scene.start_node(processes)
        database_url = EmbeddedServer(scene.folder / "postgres").dsn()
        with application_of(database_url) as application:
            config = Config.from_environ(scene.environ())
            session = Session(config, database_url, application, "demo")
            with stage.status(
                "systems acme and zenith, accounts and tokens are set up"
            ):
                scene.configure(session)
            for name in scene.ports:
                with stage.status(f"{name} runs (rps sandbox {name})"):
                    scene.start_sandbox(name, processes)
            scene.activate(session)
            with stage.status("the definition incident.shared is published"):
                scene.publish(session)
                scene.await_workers(session, processes)
            correlation_id = Story(stage, scene, session, processes, pause).play()
        if stay:
            _invite(stage, scene, correlation_id)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _invite(stage: Stage, scene: Scene, correlation_id: str) -> None:
    """Say what to look at and what to try; each line works as it is printed."""
    folder = os.path.relpath(scene.folder)
    program = _program()
    stage.act("Your turn", "All of it keeps running until Ctrl-C.")
    stage.print(
        f"\n  Acme's tickets     {scene.url('acme')}/\n"
        f"  Zenith's tickets   {scene.url('zenith')}/\n"
        f"  The API            {scene.api}/v1/openapi.json\n"
    )
    stage.print("Change a ticket there and see it arrive. Or, in another terminal:\n")
    for line in (
        f"export TOKEN={scene.tokens['you']}",
        f'export AUTH="Authorization: Bearer $TOKEN" API={scene.api}/v1',
        'curl -H "$AUTH" "$API/correlations?limit=3"',
        f'curl -H "$AUTH" $API/correlations/{correlation_id}/timeline',
        'curl -H "$AUTH" $API/systems',
        "",
        f"export RPS_DATA_DIR={folder} RPS_ALLOW_NETWORKS=127.0.0.0/8",
        f"{program} status",
        f"{program} audit timeline {correlation_id}",
        f"{program} audit verify",
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
