"""What the demo plays in: two companies, each with a node and a ticket desk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import orjson

from rps.cli.demo.company import Company
from rps.cli.demo.desk import Desk, InstanceDesk, TrackerDesk
from rps.cli.demo.processes import free_port
from rps.cli.terminal import Exit, Failure
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path

COMPANIES = ("acme", "zenith")
API_PORT = 8080
"""Acme's node; its desk, Zenith's node and desk take the next ones, or others where
somebody has those already."""

STATE_FILE = "demo.json"
PASSWORD_BYTES = 9


def was_used(folder: Path) -> bool:
    """Whether a former run left something, however far it came."""
    return any((folder / name).exists() for name in (STATE_FILE, *COMPANIES))


def forget(folder: Path) -> None:
    """Remove what a former run left in `folder`, and nothing else."""
    shutil.rmtree(folder / "log", ignore_errors=True)
    for name in COMPANIES:
        EmbeddedServer(folder / name / "postgres").destroy()
        shutil.rmtree(folder / name, ignore_errors=True)
        for path in folder.glob(f"{name}-desk*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    (folder / STATE_FILE).unlink(missing_ok=True)


@dataclass
class Scene:
    folder: Path
    acme: Company
    zenith: Company

    @classmethod
    def of(cls, folder: Path, port: int | None = None) -> Scene:
        """As a former run left it, or new; Acme's API at `port` if that is free."""
        file = folder / STATE_FILE
        kept: dict[str, Any] = orjson.loads(file.read_bytes()) if file.exists() else {}
        if kept and not all("password" in each for each in kept.values()):
            raise Failure(
                f"an older version's demo left {folder}: begin anew with --fresh",
                Exit.USAGE,
            )
        taken: set[int] = set()

        def company(place: int, name: str, other: str, desk_of: type[Desk]) -> Company:
            known = kept.get(name, {})
            first = (port or API_PORT) + 2 * place
            wanted = [first, first + 1] if port else known.get("ports", [])
            api, own = (_free(taken, each) for each in wanted or [first, first + 1])
            password = known.get("password") or token_urlsafe(PASSWORD_BYTES)
            desk = desk_of(f"{name}-desk", folder, own, password)
            token = known.get("token", "")
            return Company(name, other, folder / name, api, desk, token)

        return cls(
            folder,
            company(0, "acme", "zenith", InstanceDesk),
            company(1, "zenith", "acme", TrackerDesk),
        )

    @property
    def companies(self) -> tuple[Company, Company]:
        return self.acme, self.zenith

    def keep(self) -> None:
        kept = {
            each.name: {
                "ports": [each.api_port, each.desk.port],
                "password": each.desk.password,
                "token": each.token,
            }
            for each in self.companies
        }
        file = self.folder / STATE_FILE
        file.touch(0o600)
        file.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))


def _free(taken: set[int], wanted: int) -> int:
    port = free_port(None if wanted in taken else wanted)
    taken.add(port)
    return port
