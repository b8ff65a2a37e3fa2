"""Who asks: users by password, and by the tokens that OAuth gave out."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rps.sandbox.servicenow.access import Actor
from rps.sandbox.servicenow.answers import NotAuthenticated
from rps.sandbox.servicenow.passwords import digest, fits

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from rps.sandbox.database import Database

REFRESH_SECONDS: Final = 100 * 24 * 3600
Kind = Literal["access", "refresh"]


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str
    refresh: str


class People:
    """`now` is UNIX time."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._fitted: dict[tuple[str, str], str] = {}

    def by_password(self, user_name: str, password: str) -> Actor:
        """Raises NotAuthenticated."""
        with self._database.transaction() as connection:
            row = _active(connection, user_name)
        if row is None:
            raise NotAuthenticated
        # A hash takes milliseconds, and clients send the password with each request.
        kept, key = row["user_password"], (row["user_name"], digest(password))
        if self._fitted.get(key) != kept:
            if not fits(password, kept):
                raise NotAuthenticated
            self._fitted[key] = kept
        return _actor(row)

    def by_token(self, token: str, kind: Kind = "access") -> Actor:
        """Raises NotAuthenticated: unknown, over, or of a user no longer active."""
        with self._database.transaction() as connection:
            found = connection.execute(
                "SELECT user_name FROM rps_tokens"
                " WHERE digest = ? AND kind = ? AND ends_at > ?",
                (digest(token), kind, self._now()),
            ).fetchone()
            row = found and _active(connection, found["user_name"])
        if not row:
            raise NotAuthenticated
        return _actor(row)

    def by_name(self, user_name: str) -> Actor:
        """A user whose password somebody else has checked; raises NotAuthenticated."""
        with self._database.transaction() as connection:
            row = _active(connection, user_name)
        if row is None:
            raise NotAuthenticated
        return _actor(row)

    def give_tokens(self, actor: Actor, client_id: str, seconds: int) -> Tokens:
        """Make an access token for some seconds and a token to refresh it with."""
        made = Tokens(secrets.token_urlsafe(64), secrets.token_urlsafe(64))
        now = self._now()
        rows = (
            (made.access, "access", now + seconds),
            (made.refresh, "refresh", now + REFRESH_SECONDS),
        )
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM rps_tokens WHERE ends_at <= ?", (now,))
            connection.executemany(
                "INSERT INTO rps_tokens VALUES (?, ?, ?, ?, ?)",
                [
                    (digest(token), kind, actor.name, client_id, ends)
                    for token, kind, ends in rows
                ],
            )
        return made


def _active(connection: sqlite3.Connection, user_name: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM sys_user WHERE user_name = ? AND user_name <> ''"
        " AND active = 'true' AND locked_out <> 'true'",
        (user_name,),
    ).fetchone()
    return found


def _actor(row: sqlite3.Row) -> Actor:
    roles = frozenset(role.strip() for role in row["roles"].split(",") if role.strip())
    return Actor(row["user_name"], row["sys_id"], roles, row["time_zone"])
