"""What an operator may set, read once from the environment."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigurationError(ValueError):
    """The environment holds settings rps cannot use; the text names each of them."""


MAIL_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
)
SMTP_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Smtp:
    """The server that mail goes through, and the address that it comes from."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    user: str
    password: str = field(repr=False)
    sender: str

    @classmethod
    def of(cls, url: str, sender: str) -> Smtp:
        """Read `smtp[s]://[user:password@]host[:port][?starttls=required|none]`; raises
        ValueError, which does not repeat it."""
        if MAIL_ADDRESS.fullmatch(sender) is None:
            raise ValueError("RPS_SMTP_FROM: give the address that mail comes from")
        try:
            parts = urlsplit(url)
            port = parts.port or SMTP_PORTS[parts.scheme]
            asked = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except (ValueError, KeyError):
            raise ValueError("RPS_SMTP_URL: give smtp://host or smtps://host") from None
        starttls = asked.pop("starttls", "required")
        if not parts.hostname or asked or starttls not in ("required", "none"):
            raise ValueError(
                "RPS_SMTP_URL: give smtp[s]://[user:password@]host[:port], and "
                "?starttls=none for a server without TLS"
            )
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        tls: Literal["starttls", "implicit", "none"] = "implicit"
        if parts.scheme == "smtp":
            tls = "starttls" if starttls == "required" else "none"
        if user and tls == "none":
            raise ValueError("RPS_SMTP_URL: a password is not sent without TLS")
        return cls(parts.hostname, port, tls, user, password, sender)


@dataclass(frozen=True, slots=True)
class Config:
    """`database_url` empty means: run the embedded PostgreSQL under `data_dir`.

    `allow_networks` lists private networks that deliveries may go to; without it only
    public addresses over https are reached. `public_url` is where other nodes and
    people reach this one, "" where nobody said, through as many `proxies`. `ca_file`
    (PEM) holds authorities that are trusted beside the public ones. `smtp` None: no
    mail is sent; `apprise_services` are the schemes that subscriptions may use.
    `reads_kept_days`: for how long it is kept who looked at what. Of `key`, `key_file`
    and `key_command` one says where the keys are; none: in `data_dir`.
    """

    database_url: str
    data_dir: Path
    host: str
    port: int
    allow_networks: tuple[Network, ...]
    public_url: str
    proxies: int
    api_processes: int
    api_threads: int
    deliverer_threads: int
    breaker_seconds: int
    reads_kept_days: int = 365
    ca_file: Path | None = None
    smtp: Smtp | None = None
    apprise_services: frozenset[str] = frozenset()
    key: str = field(default="", repr=False)
    key_file: Path | None = None
    key_command: str = field(default="", repr=False)

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

        key_file = env.get("RPS_KEY_FILE", "")
        config = cls(
            database_url=env.get("RPS_DATABASE_URL", ""),
            data_dir=Path(env.get("RPS_DATA_DIR", ".rps")).absolute(),
            host=env.get("RPS_HOST", "127.0.0.1"),
            port=number("RPS_PORT", 8080, 1, 65535),
            allow_networks=networks(),
            public_url=env.get("RPS_PUBLIC_URL", ""),
            proxies=number("RPS_PROXIES", 0, 0, 9),
            api_processes=number("RPS_API_PROCESSES", 2, 1, 64),
            api_threads=number("RPS_API_THREADS", 32, 1, 256),
            deliverer_threads=number("RPS_DELIVERER_THREADS", 64, 1, 256),
            breaker_seconds=number("RPS_BREAKER_SECONDS", 30, 1, 900),
            reads_kept_days=number("RPS_READS_KEPT_DAYS", 365, 30, 36_500),
            ca_file=_ca_file(env, wrong),
            smtp=_smtp(env, wrong),
            apprise_services=frozenset(
                env.get("RPS_APPRISE", "").lower().replace(",", " ").split()
            ),
            key=env.get("RPS_KEY", ""),
            key_file=Path(key_file).absolute() if key_file else None,
            key_command=env.get("RPS_KEY_COMMAND", ""),
        )
        _keys(env, wrong)
        if wrong:
            raise ConfigurationError("; ".join(wrong))
        return config


def _keys(env: Mapping[str, str], wrong: list[str]) -> None:
    said = [n for n in ("RPS_KEY", "RPS_KEY_FILE", "RPS_KEY_COMMAND") if env.get(n)]
    if len(said) > 1:
        wrong.append(f"{' and '.join(said)}: keys come from one place, set one of them")
    try:
        shlex.split(env.get("RPS_KEY_COMMAND", ""))
    except ValueError as error:
        wrong.append(f"RPS_KEY_COMMAND cannot be read as a command: {error}")


def _ca_file(env: Mapping[str, str], wrong: list[str]) -> Path | None:
    """None where nobody named one, or what is wrong with it is added to `wrong`."""
    name = env.get("RPS_CA_FILE", "")
    if not name:
        return None
    file = Path(name).absolute()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except FileNotFoundError:
        wrong.append(f"RPS_CA_FILE={name!r}: there is no such file")
    except (OSError, ssl.SSLError):
        wrong.append(f"RPS_CA_FILE={name!r}: give a file of certificates in PEM")
    else:
        return file
    return None


def _smtp(env: Mapping[str, str], wrong: list[str]) -> Smtp | None:
    """None where no server is named, or what is said of it is added to `wrong`."""
    url = env.get("RPS_SMTP_URL", "")
    try:
        return Smtp.of(url, env.get("RPS_SMTP_FROM", "")) if url else None
    except ValueError as error:
        wrong.append(str(error))
        return None
