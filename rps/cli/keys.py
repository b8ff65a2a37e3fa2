"""rps keys: the operator's keys, which wrap the domains' keys."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rps.application.secret_store import SecretStore
from rps.cli.session import application_of, open_session
from rps.cli.terminal import Exit, Failure, output_option, say, show, show_json
from rps.keys.key_source import KeyFile, new_word

if TYPE_CHECKING:
    from rps.application import RemoteProcessSync
    from rps.cli.session import Session
    from rps.config import Config
    from rps.keys.envelope import Key

COLUMNS = ("key_id", "use", "domain_keys")


@click.group()
def keys() -> None:
    """Keys that seal the secrets: list, rotate, encrypt what is still plain."""


@keys.command("new")
def new_key() -> None:
    """Print a new key, for RPS_KEY, a vault or a key file; it is not kept here.

    Whoever has it and the database reads every secret: do not paste it anywhere else.
    """
    click.echo(new_word())


@keys.command("list")
@output_option
def list_keys(output: str) -> None:
    """List the keys that this process knows, and those that the database needs."""
    with open_session() as session:
        rows = _rows(session.application)
    show(rows, COLUMNS, output)


@keys.command()
@output_option
def status(output: str) -> None:
    """Say where the keys come from, what they wrap and what is still plain."""
    with open_session() as session:
        found = _standing(session)
    if output == "json":
        show_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name.replace('_', ' ')}: {value}")


@keys.command()
@click.option("--domain-keys", is_flag=True, help="Make new keys for the domains, too.")
def rotate(*, domain_keys: bool) -> None:
    """Wrap every domain's key under a new key; secrets stay as they are.

    With --domain-keys the domains have new keys as well, and secrets are sealed anew:
    for a key that somebody else may have seen. Give those secrets anew, too.

    With a key file the new key is made and put first; with RPS_KEY or RPS_KEY_COMMAND
    put it first yourself (rps keys new), and keep the old one behind it. Everything
    goes on meanwhile. Stopped half way, run it again: it goes on with the same key.
    """
    with open_session() as session:
        cipher, source = session.application.cipher, session.application.cipher.keyring
        prepare_keys(session.application, first=True)
        if cipher.uses().keys() == {source.current().id}:
            _make_next(session)
        current = source.current()
        count = cipher.rewrap()
        for domain in cipher.domains() if domain_keys else ():
            cipher.renew(domain)
        sealed = _store(session.application).seal_all()
        idle = [key for key in source.known() if key.id not in cipher.uses()]
    say(f"{count} domain key(s) are now under key {current.id.hex()}")
    if sealed:
        say(f"{sealed} secret(s) were sealed")
    for key in idle:
        if key != current:
            say(
                f"key {key.id.hex()} wraps nothing any more; backups made until now"
                f" need it. To forget it: rps keys drop {key.id.hex()}"
            )


@keys.command()
def encrypt() -> None:
    """Seal the secrets that an earlier version kept plain.

    Once every process runs this version: the one before cannot read sealed secrets.
    Stopped half way, run it again.
    """
    with open_session() as session:
        prepare_keys(session.application, first=True)
        count = _store(session.application).seal_all()
    say(f"{count} secret(s) sealed")
    if count:
        say(
            "what they were may still be in old pages, WAL and backups: VACUUM FULL"
            " secrets clears the table, new secrets the rest"
        )


@keys.command()
@click.argument("key_id")
def drop(key_id: str) -> None:
    """Take the key KEY_ID, which wraps nothing any more, out of the key file."""
    with open_session() as session:
        cipher = session.application.cipher
        source, known = cipher.keyring.source, cipher.keyring.refresh()
        found = next((key for key in known if key.id.hex() == key_id), None)
        if found is None:
            raise Failure(f"{source.name} has no key {key_id}", Exit.NOT_FOUND)
        if found.id in cipher.uses() or found == known[0]:
            raise Failure(f"key {key_id} is in use: rps keys rotate first")
        if not isinstance(source, KeyFile):
            raise Failure(f"take it out of {source.name} yourself: nothing needs it")
        source.drop(found)
    say(f"key {key_id} is gone from {source.name}")


@keys.command()
@click.argument("key_id")
@click.confirmation_option(prompt="Every secret under that key is removed. Go on?")
def abandon(key_id: str) -> None:
    """Give up every secret under the key KEY_ID, which is lost for good.

    Takes the owner of the tables. Afterwards the node starts again; rps doctor names
    the systems that need their secrets anew.
    """
    with open_session(role="") as session:
        cipher = session.application.cipher
        lost = {key.hex(): key for key in KeyUses.of(session.application).unknown}
        if key_id not in lost:
            missing = ", ".join(lost) or "none"
            raise Failure(
                f"{key_id} is no key that is missing here (missing: {missing})",
                Exit.NOT_FOUND,
            )
        count = cipher.abandon(lost[key_id])
        prepare_keys(session.application, first=True)
    say(f"{count} secret(s) removed; rps doctor names the systems that need theirs")


def prepare_keys(application: RemoteProcessSync, *, first: bool = False) -> None:
    """See that what is sealed can be opened; make the `first` key where there is none
    and nothing was ever sealed. Raises KeyTrouble, having changed nothing."""
    cipher = application.cipher
    source = cipher.keyring.source
    cipher.keyring.refresh()
    if first and isinstance(source, KeyFile) and not cipher.uses():
        made = source.add_first()
        cipher.keyring.refresh()
        if made is not None:
            say(
                f"made the node's key in {source.path}: keep a copy of it away from"
                " the database; without it the secrets in there are lost"
            )
    cipher.check()


def require_keys(config: Config, database_url: str, *, own: bool = False) -> None:
    """As above, of a database that is at the schema. `own`: nobody else works with it,
    so that what is plain can be sealed."""
    with application_of(config, database_url) as application:
        prepare_keys(application, first=own)
        if own and (count := _store(application).seal_all()):
            say(f"{count} secret(s) that were plain are sealed")


# --- how they stand -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyUses:
    """`known`: the newest first. `uses`: how many keys of domains each wraps, by id."""

    known: tuple[Key, ...]
    uses: dict[bytes, int]

    @classmethod
    def of(cls, application: RemoteProcessSync) -> KeyUses:
        """Raises KeyTrouble."""
        cipher = application.cipher
        return cls(cipher.keyring.refresh(), cipher.uses())

    @property
    def unknown(self) -> list[bytes]:
        return sorted(self.uses.keys() - {key.id for key in self.known})

    @property
    def behind(self) -> int:
        """Keys of domains that are under another key than the current one."""
        current = {self.known[0].id} if self.known else set()
        return sum(count for key, count in self.uses.items() if key not in current)


def _rows(application: RemoteProcessSync) -> list[dict[str, Any]]:
    standing = KeyUses.of(application)
    rows = [
        {
            "key_id": key.id.hex(),
            "use": "older" if place else "current",
            "domain_keys": standing.uses.get(key.id, 0),
        }
        for place, key in enumerate(standing.known)
    ]
    missing = [
        {"key_id": key.hex(), "use": "missing", "domain_keys": standing.uses[key]}
        for key in standing.unknown
    ]
    return rows + missing


def _standing(session: Session) -> dict[str, Any]:
    application = session.application
    standing = KeyUses.of(application)
    return {
        "source": application.cipher.keyring.source.name,
        "keys": len(standing.known),
        "current": standing.known[0].id.hex() if standing.known else None,
        "domain_keys": sum(standing.uses.values()),
        "under_older_keys": standing.behind,
        "plain_secrets": _store(application).plain(),
    }


def _make_next(session: Session) -> None:
    """Raises Failure where that is for the operator to do."""
    source = session.application.cipher.keyring.source
    if not isinstance(source, KeyFile):
        raise Failure(
            f"every domain's key is under the first key of {source.name}: put a new"
            " one before it (rps keys new prints one), on every machine, then again",
            Exit.USAGE,
        )
    source.add()
    session.application.cipher.keyring.refresh()


def _store(application: RemoteProcessSync) -> SecretStore:
    return SecretStore(application, os.urandom)
