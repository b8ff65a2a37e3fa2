"""Makes the requests that a description describes."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import orjson

from rps.connectors import meaning
from rps.connectors.rest import answers, template
from rps.connectors.rest.answers import Asked, Heard
from rps.connectors.transport import Answer, Request
from rps.domain.delivery import Exchange, NeedsCredentials, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.connectors.rest.answers import Trouble
    from rps.connectors.rest.description import Auth, Call, Description
    from rps.connectors.streaming import Opened
    from rps.connectors.transport import Said

TOKEN_SECONDS = 60.0
"""A token is asked for anew so long before it ends."""
URL_MAX = 8000


class Wire(Protocol):
    """What of the transport is needed."""

    def send(self, request: Request) -> Said: ...

    def stream(self, request: Request) -> Said | Opened: ...


@dataclass(frozen=True, slots=True)
class Placed:
    """A description for one system: its address, settings and secret."""

    description: Description
    url: str
    settings: Mapping[str, str]
    secret: str


class Calls:
    """`clock` gives seconds of the epoch; `pause` waits that many seconds."""

    def __init__(
        self,
        transport: Wire,
        placed: Placed,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._transport = transport
        self._placed = placed
        self._description = placed.description
        self._url = placed.url.rstrip("/")
        self._clock = clock
        self._pause = pause
        self._lock = Lock()
        self._free_at = 0.0
        self._token, self._token_until = "", 0.0

    def context(self, **more: Any) -> dict[str, Any]:
        """What templates may name; the record's own comes with `more`."""
        parts = urlsplit(self._url)
        return {
            "setting": self._placed.settings,
            "origin": f"{parts.scheme}://{parts.netloc}",
            **more,
        }

    def ask(
        self, call: Call, context: template.Context, asked: Asked | None = None
    ) -> Heard | Trouble:
        """One request; with a token that was refused once, once more."""
        asked = asked or Asked(call.method != "GET")
        request = self._request(call, context)
        if not isinstance(request, Request):
            return request
        said = self._sent(request)
        is_stale = isinstance(said, Answer) and said.status == HTTPStatus.UNAUTHORIZED
        if is_stale and self._forgets_token():
            again = self._request(call, context)
            if not isinstance(again, Request):
                return again
            said = self._sent(again)
        return self._heard(request, said, asked)

    def _heard(self, request: Request, said: Said, asked: Asked) -> Heard | Trouble:
        exchange = meaning.exchange_of(request.body, said)
        return answers.heard(self._description, asked, said, exchange, self._clock())

    def follow(self, url: str) -> Heard | Trouble:
        """The address that an answer named as the next; only of the same system."""
        if not url.startswith((f"{self._url}/", f"{self._url}?")):
            if not url.startswith("/") or url.startswith("//"):
                return Refused("the next page is said to be at another address")
            url = self.context()["origin"] + url
        headers = self._headers({}, {})
        if not isinstance(headers, dict):
            return headers
        said = self._sent(self._with_key(Request("GET", url, headers, retry_safe=True)))
        exchange = meaning.exchange_of(b"", said)
        return answers.heard(self._description, Asked(), said, exchange, self._clock())

    def stream(self, call: Call, context: template.Context) -> Said | Opened | Trouble:
        request = self._request(call, context)
        if not isinstance(request, Request):
            return request
        self._paced()
        # Some systems wrap bytes in JSON where JSON is what is accepted.
        headers = {**request.headers, "Accept": "*/*"}
        return self._transport.stream(replace(request, headers=headers))

    # --- one request ------------------------------------------------------------------

    def _sent(self, request: Request) -> Said:
        self._paced()
        return self._transport.send(request)

    def _paced(self) -> None:
        """Keep to so many requests a second."""
        if not self._description.per_second:
            return
        with self._lock:
            now = self._clock()
            begin = max(now, self._free_at)
            self._free_at = begin + 1 / self._description.per_second
        if begin > now:
            self._pause(begin - now)

    def unsigned(self, call: Call, context: template.Context) -> Request | Trouble:
        """The request without what says who we are."""
        return self._request(call, context, signed=False)

    def _request(
        self, call: Call, context: template.Context, *, signed: bool = True
    ) -> Request | Trouble:
        try:
            url = self._url + template.as_path(call.path, context)
            query = _query(call.query, context)
            body, content_type = _body(call, context)
            given = {
                name: template.as_text(each, context)
                for name, each in call.headers.items()
            }
            if call.if_match and context.get("revision"):
                given["If-Match"] = template.as_text('"{revision}"', context)
        except template.Absent as absent:
            return Refused(f"the request needs {absent}, which is not known")
        except (TypeError, ValueError) as error:
            return Refused(f"the request cannot be made: {error}")
        if content_type:
            given.setdefault("Content-Type", content_type)
        headers = self._headers(given, context, signed=signed)
        if not isinstance(headers, dict):
            return headers
        if query:
            url += ("&" if "?" in url else "?") + query
        if len(url) > URL_MAX:
            return Refused(f"the address has more than {URL_MAX} characters")
        request = Request(
            *(call.method, url, headers, body),
            retry_safe=call.method == "GET",
            response_bytes=self._description.answer_bytes,
        )
        return self._with_key(request) if signed else request

    def _headers(
        self,
        given: Mapping[str, str],
        context: template.Context,
        *,
        signed: bool = True,
    ) -> dict[str, str] | Trouble:
        context = {**self.context(), **context}
        try:
            fixed = {
                name: template.as_text(each, context)
                for name, each in self._description.headers.items()
            }
        except template.Absent as absent:
            return Refused(f"a header needs {absent}, which is not known")
        ours = self._signed() if signed else {"Authorization": ""}
        if not isinstance(ours, dict):
            return ours
        headers = {"Accept": "application/json", **fixed, **given, **ours}
        if not all(each.isascii() and each.isprintable() for each in headers.values()):
            return Refused("a header would hold characters that no header may hold")
        return headers

    # --- who we are -------------------------------------------------------------------

    def _signed(self) -> dict[str, str] | Trouble:
        auth, secret = self._description.auth, self._placed.secret
        match auth.kind:
            case "basic":
                user = template.as_text(auth.user, self.context())
                pair = b64encode(f"{user}:{secret}".encode()).decode()
                return {"Authorization": f"Basic {pair}"}
            case "bearer":
                return {"Authorization": f"Bearer {secret}"}
            case "header":
                return {auth.name: auth.form.replace("{secret}", secret)}
            case "oauth":
                token = self._granted(auth)
                if isinstance(token, str):
                    return {"Authorization": f"Bearer {token}"}
                return token
            case _:
                return {}

    def _with_key(self, request: Request) -> Request:
        auth, secret = self._description.auth, self._placed.secret
        url = request.url
        if auth.kind == "query":
            key = f"{quote(auth.name)}={quote(secret, safe='')}"
            url += ("&" if "?" in url else "?") + key
        return replace(request, url=url, secrets=(secret,))

    def _forgets_token(self) -> bool:
        """Whether there was one that another may stand in for."""
        had, self._token = self._token, ""
        return bool(had)

    def _granted(self, auth: Auth) -> str | Trouble:
        """A token for client credentials (RFC 6749, 4.4), kept until it ends."""
        with self._lock:
            if self._token and self._clock() < self._token_until:
                return self._token
        form = {
            "grant_type": "client_credentials",
            "client_id": template.as_text(auth.user, self.context()),
            "client_secret": self._placed.secret,
        }
        if auth.scope:
            form["scope"] = template.as_text(auth.scope, self.context())
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        request = Request(
            *("POST", self._url + auth.token_path, headers, urlencode(form).encode()),
            secrets=(self._placed.secret,),
        )
        said = self._transport.send(request)
        came = answers.heard(
            self._description, Asked(), said, Exchange(), self._clock()
        )
        return self._kept_token(came)

    def _kept_token(self, came: Heard | Trouble) -> str | Trouble:
        if isinstance(came, Unavailable):
            return came
        if not isinstance(came, Heard):
            detail = getattr(came, "detail", "")
            return NeedsCredentials(f"no token for our client id and secret: {detail}")
        token = template.picked("access_token", came.document)
        seconds = template.picked("expires_in", came.document)
        if not (isinstance(token, str) and token.isascii() and token.isprintable()):
            return NeedsCredentials("the answer of the token's address holds no token")
        lasts = float(seconds) if isinstance(seconds, int | float) else 300.0
        with self._lock:
            self._token = token
            self._token_until = self._clock() + max(lasts - TOKEN_SECONDS, 1.0)
        return token


def _query(query: Mapping[str, Any], context: template.Context) -> str:
    """What is absent is left out."""
    pairs = []
    for key, each in query.items():
        try:
            value = template.as_text(str(each), context)
            pairs.append((template.as_text(key, context), value))
        except template.Absent:
            continue
    return urlencode(pairs, quote_via=quote)


def _body(call: Call, context: template.Context) -> tuple[bytes, str]:
    if call.form:
        return _multipart(call, context)
    if call.raw:
        content = template.as_value(call.raw, context)
        raw = content if isinstance(content, bytes) else str(content).encode()
        return raw, template.as_text(call.content_type, context)
    if call.body is None:
        return b"", ""
    value = template.as_value(call.body, context)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS), call.content_type


def _multipart(call: Call, context: template.Context) -> tuple[bytes, str]:
    """Bytes are sent as a file with its name and type."""
    parts = [(n, template.as_value(each, context)) for n, each in call.form.items()]
    joined = b"".join(v if isinstance(v, bytes) else str(v).encode() for _, v in parts)
    boundary = f"rps-{hashlib.sha256(joined).hexdigest()[:40]}"
    file = context.get("file")
    made = []
    for name, value in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes) and isinstance(file, Mapping):
            head += f'; filename="{_quoted(file["name"])}"\r\nContent-Type: '
            head += str(file["type"])
        content = value if isinstance(value, bytes) else str(value).encode()
        made.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    body = b"".join(made) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    """As browsers do (WHATWG)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
