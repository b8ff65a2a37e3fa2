"""Who we are to an instance: Basic, or an OAuth token kept in memory only."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rps.connectors.hiding import hidden
from rps.connectors.servicenow.answers import error_text, understood
from rps.connectors.shown import parsed
from rps.connectors.transport import Answer, Request
from rps.domain.delivery import Exchange, NeedsCredentials, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.connectors.servicenow.settings import Credentials, Settings
    from rps.connectors.transport import Said

EARLY_SECONDS = 60.0
"""A token is replaced before it ends, so that no request comes too late with it."""
_SHORTEST_SECONDS = 5.0
_LONGEST_SECONDS = 24 * 3600.0
_REFUSED = (400, 401, 403)


class Login:
    """`header` is what each request brings; one for all threads of a connector."""

    def __init__(
        self,
        send: Callable[[Request], Said],
        settings: Settings,
        credentials: Credentials,
        clock: Callable[[], float],
    ) -> None:
        self._send = send
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._lock = Lock()
        self._token = ""
        self._until = 0.0
        self._refresh = credentials.refresh_token

    def header(self) -> str | NeedsCredentials | Unavailable:
        """For `Authorization`."""
        if self._settings.auth == "basic":
            pair = f"{self._settings.username}:{self._credentials.password}"
            return f"Basic {b64encode(pair.encode()).decode()}"
        with self._lock:
            if not self._token or self._clock() >= self._until:
                trouble = self._renewed()
                if trouble is not None:
                    return trouble
            return f"Bearer {self._token}"

    def is_worth_another(self, header: str) -> bool:
        """`header` was not accepted: whether a new one may be."""
        if self._settings.auth == "basic":
            return False
        with self._lock:
            if header == f"Bearer {self._token}":
                self._token = ""
        return True

    def _renewed(self) -> NeedsCredentials | Unavailable | None:
        """With the refresh token where there is one, else, or where that is not taken
        any more, as at first."""
        if self._refresh:
            trouble = self._asked(
                {"grant_type": "refresh_token", "refresh_token": self._refresh}
            )
            if trouble is None or not isinstance(trouble, NeedsCredentials):
                return trouble
            if self._settings.auth == "oauth-refresh":
                return trouble
            self._refresh = ""
        if self._settings.auth == "oauth-client":
            return self._asked({"grant_type": "client_credentials"})
        return self._asked(
            {
                "grant_type": "password",
                "username": self._settings.username,
                "password": self._credentials.password,
            }
        )

    def _asked(self, form: dict[str, str]) -> NeedsCredentials | Unavailable | None:
        pair = {
            "client_id": self._settings.client_id,
            "client_secret": self._credentials.client_secret,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        body = urlencode({**form, **pair}).encode()
        url = f"{self._settings.url}/oauth_token.do"
        said = self._send(Request("POST", url, headers, body, retry_safe=True))
        if isinstance(said, Answer):
            told = parsed(said.body) or {}
            if self._took(told):
                return None
            if said.status in _REFUSED and told:
                text = self._hidden(error_text(told)) or f"answered {said.status}"
                return NeedsCredentials(
                    f"it gives no token ({text}): check the OAuth client, its secret"
                    " and the account"
                )
        found = understood(said, Exchange(), self._clock(), wrote=False)
        if isinstance(found, NeedsCredentials | Unavailable):
            return replace(found, detail=self._hidden(found.detail))
        detail = found.detail if isinstance(found, Refused) else "it is no token"
        return NeedsCredentials(f"it gives no token: {self._hidden(detail)}")

    def _hidden(self, said: str) -> str:
        """Not by the transport: a token may be given again as it was."""
        credentials = self._credentials
        mine = (credentials.password, credentials.client_secret, self._refresh)
        return hidden(said, mine)

    def _took(self, told: dict[str, Any]) -> bool:
        token, seconds = told.get("access_token"), told.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            return False
        lasts = float(seconds) if isinstance(seconds, int | float) else 0.0
        lasts = min(max(lasts - EARLY_SECONDS, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        self._token, self._until = token, self._clock() + lasts
        if isinstance(refresh := told.get("refresh_token"), str) and refresh:
            self._refresh = refresh
        return bool(token)
