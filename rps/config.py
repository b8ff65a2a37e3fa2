"""What an operator may set, read once from the environment."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigurationError(ValueError):
    """The environment holds settings rps cannot use; the text names each of them."""


@dataclass(frozen=True, slots=True)
class Config:
    """`database_url` empty means: run the embedded PostgreSQL under `data_dir`.

    `allow_networks` lists private networks that deliveries may go to; without it only
    public addresses over https are reached. `public_url` is where other nodes reach
    this one's API, "" where nobody said.
    """

    database_url: str
    data_dir: Path
    host: str
    port: int
    allow_networks: tuple[Network, ...]
    public_url: str
    api_processes: int
    api_threads: int
    deliverer_threads: int
    breaker_seconds: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read `RPS_*`; raises ConfigurationError naming everything that is wrong."""
        env = os.environ if environ is None else environ
        wrong: list[str] = []

        def number(name: str, default: int, least: int, most: int) -> int:
            text = env.get(name, str(default))
            if text.isdecimal() and least <= int(text) <= most:
                return int(text)
            wrong.append(f"{name}={text!r}: give a whole number {least} to {most}")
            return default

        def networks() -> tuple[Network, ...]:
            found: list[Network] = []
            for part in env.get("RPS_ALLOW_NETWORKS", "").split(","):
                if not part.strip():
                    continue
                try:
                    found.append(ipaddress.ip_network(part.strip()))
                except ValueError as error:
                    wrong.append(f"RPS_ALLOW_NETWORKS: {error}")
            return tuple(found)

        config = cls(
            database_url=env.get("RPS_DATABASE_URL", ""),
            data_dir=Path(env.get("RPS_DATA_DIR", ".rps")).absolute(),
            host=env.get("RPS_HOST", "127.0.0.1"),
            port=number("RPS_PORT", 8080, 1, 65535),
            allow_networks=networks(),
            public_url=env.get("RPS_PUBLIC_URL", ""),
            api_processes=number("RPS_API_PROCESSES", 2, 1, 64),
            api_threads=number("RPS_API_THREADS", 32, 1, 256),
            deliverer_threads=number("RPS_DELIVERER_THREADS", 64, 1, 256),
            breaker_seconds=number("RPS_BREAKER_SECONDS", 30, 1, 900),
        )
        if wrong:
            raise ConfigurationError("; ".join(wrong))
        return config
