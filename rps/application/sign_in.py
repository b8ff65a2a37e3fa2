"""People come in, prove themselves again, change their password and leave."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from rps.application import passwords
from rps.application.attempts import Attempts, HeldBack
from rps.application.passwords import Passwords
from rps.application.rights import account_at, addressed
from rps.application.sessions import Sessions
from rps.application.sign_in_records import SignInRecords
from rps.application.vouching import NobodyLinked, account_for, person_of
from rps.domain.account import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Any

    from argon2 import PasswordHasher

    from rps.application import RemoteProcessSync
    from rps.application.sessions import Came, Session
    from rps.application.sign_in_records import What
    from rps.connectors.openid import ProviderFailed

logger = logging.getLogger(__name__)


class SignInRefused(Exception):
    """Not this way. The same for a wrong password and for an account that is not."""


class Opened(NamedTuple):
    """`key` is for the browser alone."""

    key: str
    account: Account


class SignIn:
    def __init__(
        self,
        application: RemoteProcessSync,
        random_bytes: Callable[[int], bytes],
        hasher: PasswordHasher,
    ) -> None:
        datastore = application.datastore
        self._application = application
        self._attempts = Attempts(datastore)
        self._records = SignInRecords(datastore)
        self.passwords = Passwords(datastore, hasher)
        self.sessions = Sessions(datastore, random_bytes)

    # --- coming in ------------------------------------------------------------------

    def by_password(
        self, written: str, password: str, came: Came, now: datetime
    ) -> Opened:
        """Raises SignInRefused, HeldBack."""
        account = self._with_password(written, password, came, now)
        return self._let_in(account, came, now)

    def by_provider(
        self, key: str, claims: Mapping[str, Any], came: Came, now: datetime
    ) -> Opened:
        """Whoever the provider vouches for; raises SignInRefused."""
        account = self._vouched_for(key, claims, came, now)
        person = came._replace(provider=key, person=person_of(claims))
        return self._let_in(account, person, now)

    def provider_failed(
        self, key: str, error: ProviderFailed, came: Came, now: datetime
    ) -> None:
        """Somebody came back from a provider with something that does not hold."""
        vouched = came._replace(provider=key)
        self._tell("failed", key.rpartition("/")[0], "", vouched, now, str(error))

    # --- proving it again -----------------------------------------------------------

    def confirm_password(
        self,
        session: Session,
        account: Account,
        password: str,
        came: Came,
        now: datetime,
    ) -> str:
        """Another key for the session; raises SignInRefused, HeldBack."""
        written = f"{account.domain}/{account.name}"
        self._with_password(written, password, came, now)
        return self._confirmed(session, account, came, now)

    def confirm_provider(
        self,
        session: Session,
        key: str,
        claims: Mapping[str, Any],
        came: Came,
        now: datetime,
    ) -> str:
        """As `confirm_password`, for who a provider vouches for anew."""
        account = self._vouched_for(key, claims, came, now)
        if account.id != session.account_id:
            raise SignInRefused
        person = came._replace(provider=key, person=person_of(claims))
        return self._confirmed(session, account, person, now)

    # --- passwords ------------------------------------------------------------------

    def set_password(
        self,
        account: Account,
        password: str,
        actor: str,
        now: datetime,
        session: Session | None = None,
    ) -> str:
        """Over the one there was, and end the account's sessions; `session` alone goes
        on, under the key answered. Raises PasswordRefused."""
        passwords.check(password, account.name, *account.domain.split("/"))
        # First what is remembered: a change that nobody knows of is worse than one
        # that was announced and has to be made again.
        self._application.change(
            Account, account.id, lambda each: each.set_password(actor, now)
        )
        self.passwords.keep(account, password, now)
        self.sessions.end_all(account.id, but=session.digest if session else b"")
        return self.sessions.renew(session, now) if session else ""

    def remove_password(self, account: Account, actor: str, now: datetime) -> bool:
        """Whether there was one. Sessions that it opened end."""
        if not self.passwords.exists(account.id):
            return False
        self._application.change(
            Account, account.id, lambda each: each.remove_password(actor, now)
        )
        self.passwords.drop(account.id)
        self.sessions.end_vouched("", account.id)
        return True

    # --- leaving --------------------------------------------------------------------

    def leave(
        self, session: Session, account: Account, came: Came, now: datetime
    ) -> None:
        self.sessions.end(account.id, session.session_id)
        self._tell("signed_out", account.domain, account.name, came, now)

    def leave_everywhere(self, account: Account, came: Came, now: datetime) -> int:
        """How many sessions ended."""
        ended = self.sessions.end_all(account.id)
        self._tell("ended", account.domain, account.name, came, now)
        return ended

    def end(self, account: Account, session_id: str, came: Came, now: datetime) -> bool:
        """Whether the account had such a session, which has ended now."""
        ended = self.sessions.end(account.id, session_id)
        if ended:
            self._tell("ended", account.domain, account.name, came, now)
        return ended

    # --------------------------------------------------------------------------------

    def _with_password(
        self, written: str, password: str, came: Came, now: datetime
    ) -> Account:
        domain, name = addressed(written)
        account = account_at(written, self._application.configuration.refresh())
        told = (domain, name) if account else ("", "")
        try:
            self._attempts.take(domain, name, came.source, now)
        except HeldBack:
            self._tell("held_back", *told, came, now)
            raise
        fits = self.passwords.fits(Account.id_of(domain, name), password)
        if account is None or not fits:
            self._tell("failed", *told, came, now)
            raise SignInRefused
        self._attempts.passed(domain, name, came.source, now)
        return account

    def _vouched_for(
        self, key: str, claims: Mapping[str, Any], came: Came, now: datetime
    ) -> Account:
        try:
            return account_for(key, claims, self._application.configuration.refresh())
        except NobodyLinked as error:
            vouched = came._replace(provider=key)
            self._tell("failed", key.rpartition("/")[0], "", vouched, now, str(error))
            raise SignInRefused from None

    def _let_in(self, account: Account, came: Came, now: datetime) -> Opened:
        key = self.sessions.open(account, came, now)
        self._tell("signed_in", account.domain, account.name, came, now)
        return Opened(key, account)

    def _confirmed(
        self, session: Session, account: Account, came: Came, now: datetime
    ) -> str:
        self._tell("confirmed", account.domain, account.name, came, now)
        return self.sessions.renew(session, now)

    def _tell(
        self,
        what: What,
        domain: str,
        account: str,
        came: Came,
        now: datetime,
        why: str = "",
    ) -> None:
        many = what in ("failed", "held_back")
        record = self._records.count if many else self._records.add
        record(what, domain, account, came, now)
        logger.log(
            logging.WARNING if many else logging.INFO,
            "person.%s domain=%s account=%s provider=%s source=%s%s",
            what,
            domain or "-",
            account or "-",
            came.provider or "-",
            came.source,
            f" why={why}" if why else "",
        )


def forget(application: RemoteProcessSync, now: datetime) -> None:
    """Remove what has ended and what was kept long enough."""
    Sessions(application.datastore, os.urandom).forget(now)
    Attempts(application.datastore).forget(now)
    SignInRecords(application.datastore).forget(now)
