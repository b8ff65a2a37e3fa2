"""What the demo plays in: two companies, each with a node and a ticket desk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from rps.cli.demo.company import Company
from rps.cli.demo.processes import free_port
from rps.cli.sandbox import new_secret
from rps.postgres import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path

TABLES = {"acme": "incident", "zenith": "case"}
API_PORT = 8080
"""Acme's node; its desk, Zenith's node and desk take the next ones, or others where
somebody has those already."""

STATE_FILE = "demo.json"


def was_used(folder: Path) -> bool:
    """Whether a former run left something, however far it came."""
    return any((folder / name).exists() for name in (STATE_FILE, *TABLES))


def forget(folder: Path) -> None:
    """Remove what a former run left in `folder`, and nothing else."""
    shutil.rmtree(folder / "log", ignore_errors=True)
    for name in TABLES:
        EmbeddedServer(folder / name / "postgres").destroy()
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.rmtree(folder / f"{name}.files", ignore_errors=True)
        for file in folder.glob(f"{name}.sqlite*"):
            file.unlink()
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
        taken: set[int] = set()

        def company(place: int, name: str, other: str) -> Company:
            known = kept.get(name, {})
            first = (port or API_PORT) + 2 * place
            wanted = [first, first + 1] if port else known.get("ports", [])
            api, desk = (_free(taken, each) for each in wanted or [first, first + 1])
            return Company(
                name,
                other,
                TABLES[name],
                folder / name,
                api,
                desk,
                known.get("secret") or new_secret(),
                known.get("tokens", {}),
            )

        return cls(folder, company(0, "acme", "zenith"), company(1, "zenith", "acme"))

    @property
    def companies(self) -> tuple[Company, Company]:
        return self.acme, self.zenith

    def keep(self) -> None:
        kept = {
            each.name: {
                "ports": [each.api_port, each.desk_port],
                "secret": each.secret,
                "tokens": each.tokens,
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
