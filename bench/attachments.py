"""A large file through a node: how much memory each process took, and how long.

    python -m bench.attachments [MEGABYTES]     1,000 by default

A user of one sandbox attaches it, the node pulls it, the other sandbox pulls it from
the node; both sides check its SHA-256. Needs four times its size on disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
import urllib3

from bench.deployment import free_port
from bench.process import PARENT, Process, await_true, ours, stats
from rps.application import RemoteProcessSync
from rps.application.tokens import mint
from rps.connectors.signature import new_secret
from rps.domain.account import Account
from rps.migrate import migrate
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = os.urandom(1_000_000)
SECONDS_MAX = 1_200.0
NAMES = ("acme", "globex")
EVERYTHING = ["create", "update", "delete"]
DEFINITION: dict[str, Any] = {
    "process_event": "incident",
    "fields": {"title": {"type": "text"}},
    "journals": {"comments": {"visibility": "public"}},
    "attachments": {"journal": "comments", "size_max": "10 GB"},
    "members": {
        name: {
            "table": "incident",
            "capture": EVERYTHING,
            "fields": {"title": "title"},
            "journals": {"comments": "comments"},
        }
        for name in NAMES
    },
}
HTTP = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(SECONDS_MAX))


def main(megabytes: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="rps-bench-"))
    server = EmbeddedServer(folder / "postgres")
    processes: dict[str, Process] = {}
    try:
        server.start()
        migrate(server.dsn())
        return _run(megabytes, folder, server.dsn(), processes)
    finally:
        for process in processes.values():
            process.end()
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    megabytes: int, folder: Path, dsn: str, processes: dict[str, Process]
) -> dict[str, Any]:
    ports = {name: free_port() for name in ("node", *NAMES)}
    secret = new_secret(os.urandom(32))
    token = _configured(dsn, ports, secret)
    env = {
        "RPS_DATABASE_URL": dsn,
        "RPS_PORT": str(ports["node"]),
        "RPS_ALLOW_NETWORKS": "127.0.0.0/8",
        "RPS_SANDBOX_SECRETS": secret,
        "RPS_SANDBOX_REPORT_TOKEN": token,
    }

    def started(name: str, *arguments: str) -> None:
        words = folder / f"{name}.log"
        processes[name] = Process(ours("rps", *arguments), words, env)
        url = f"http://127.0.0.1:{ports[name]}/"
        await_true(lambda: _answers(url), f"{name} answers", processes[name])

    started("node", "serve", "--workers")
    for name in NAMES:
        database = str(folder / f"{name}.sqlite")
        where = ("--port", str(ports[name]), "--database", database)
        to = ("--report-url", f"http://127.0.0.1:{ports['node']}")
        started(name, "sandbox", name, *where, *to)
    return _passed(megabytes, ports, processes)


def _passed(
    megabytes: int, ports: dict[str, int], processes: dict[str, Process]
) -> dict[str, Any]:
    acme, globex = (
        f"http://127.0.0.1:{ports[name]}/records/incident" for name in NAMES
    )
    made = HTTP.request("POST", acme, json={"fields": {"title": "a film"}}).json()
    begun = time.monotonic()
    answer = HTTP.request(
        "POST",
        f"{acme}/{made['id']}/attachments?name=film.bin",
        body=_pieces(megabytes),
        headers={"Content-Length": str(megabytes * len(PIECE))},
    ).json()
    attached = time.monotonic()
    sha256 = _digest(megabytes)
    if answer["attachments"][0]["sha256"] != sha256:
        raise RuntimeError("the sandbox got something else")

    def is_there() -> bool:
        records = HTTP.request("GET", globex).json()
        files = [f for r in records for f in _files(f"{globex}/{r['id']}")]
        return [(f["sha256"], f["state"]) for f in files] == [(sha256, "here")]

    await_true(is_there, "the file is there", processes["node"], SECONDS_MAX, pause=0.5)
    return {
        "megabytes": megabytes,
        "seconds_to_attach": round(attached - begun, 1),
        "seconds_to_pass": round(time.monotonic() - attached, 1),
        "peak_megabytes": _peaks(processes),
    }


def _configured(dsn: str, ports: dict[str, int], secret: str) -> str:
    application, now = RemoteProcessSync(dsn, role=""), datetime.now(UTC)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO secrets (domain, name, value) VALUES ('top', 's', %s)",
            (secret,),
        )
    application.ensure_domain("top", "", "bench", now)
    for name in NAMES:
        settings = {"url": f"http://127.0.0.1:{ports[name]}/rps", "secrets": ["s"]}
        system, _ = application.register_system(
            "top", name, "push", "", settings, "bench", now
        )
        system.activate("bench", now)
        application.save(system)
    application.apply_definition(DEFINITION, "bench", now)
    account = application.ensure_account("top", "bench", ["admin"], "bench", now)
    token, token_id, digest = mint(os.urandom(38))
    application.change(
        Account, account.id, lambda a: a.issue_token(token_id, digest, 1, "bench", now)
    )
    application.close()
    return token


def _peaks(processes: dict[str, Process]) -> dict[str, float]:
    """The most memory each process ever had, by its name and id."""
    found = {}
    for name, process in processes.items():
        for pid in _family(process.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            said = dict(line.split(":", 1) for line in status.splitlines())
            kilobytes = int(said["VmHWM"].split()[0])
            key = f"{name}: {said['Name'].strip()} {pid}"
            found[key] = round(kilobytes * 1024 / 1e6, 1)
    return found


def _family(pid: int) -> list[int]:
    """A process and all that it started; `rps work` has a session of its own."""
    parents = {child: int(fields[PARENT]) for child, fields in stats()}
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _files(url: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = HTTP.request("GET", url).json()["attachments"]
    return files


def _pieces(count: int) -> Iterator[bytes]:
    """No two alike, so that nothing can be compressed or kept once."""
    for number in range(count):
        yield number.to_bytes(8, "big") + PIECE[8:]


def _digest(count: int) -> str:
    made = hashlib.sha256()
    for piece in _pieces(count):
        made.update(piece)
    return made.hexdigest()


def _answers(url: str) -> bool:
    try:
        HTTP.request("GET", url, timeout=1.0)
    except urllib3.exceptions.HTTPError:
        return False
    return True


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    print(orjson.dumps(main(size), option=orjson.OPT_INDENT_2).decode())
