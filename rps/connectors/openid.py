"""A provider of identities, spoken to by OpenID Connect: code flow with PKCE.

authlib knows the protocol; what is sent goes through the transport, so that the address
of a provider is checked like any other system's.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from rps.connectors.transport import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rps.connectors.push import Wire

MISSING = "this node cannot speak OpenID Connect: install rps[oidc]"

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Signatures that take the provider's private key: never `none` or a shared secret."""

LEEWAY_SECONDS = 60
FRESH_SECONDS = 300
METADATA_SECONDS = 3600
RESPONSE_BYTES = 512 * 1024
_KEYS_AGAIN_SECONDS = 60


class ProviderFailed(Exception):
    """It cannot be used, or what it says does not hold. The text says which, for
    operators; it repeats no code, token or secret."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One way to the provider and back; all of it is known only to one browser."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str
    fresh: bool
    """The person has to prove themselves again, whatever session they have there."""


class OpenIdProvider:
    """`issuer` is an https address, http on allowed networks. Remembers the provider's
    metadata and keys for an hour."""

    def __init__(
        self, issuer: str, client_id: str, secret: str, scopes: str, transport: Wire
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._secret = secret
        self._scopes = scopes
        self._transport = transport
        self._metadata: dict[str, Any] = {}
        self._metadata_at = 0.0
        self._keys: dict[str, Any] = {}
        self._keys_at = 0.0

    def check(self) -> dict[str, Any]:
        """Its metadata, freshly read, and its keys; raises ProviderFailed."""
        self._metadata_at = self._keys_at = 0.0
        found = self.metadata()
        self._key_set()
        return found

    def metadata(self) -> dict[str, Any]:
        """Where it is asked what; raises ProviderFailed."""
        if not self._metadata or _age(self._metadata_at) > METADATA_SECONDS:
            url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            found = self._asked(Request("GET", url, _ACCEPT, retry_safe=True))
            self._metadata = self._checked(found)
            self._metadata_at = time.monotonic()
        return self._metadata

    def way(self, asking: Asking) -> str:
        """Where the browser is sent; raises ProviderFailed."""
        oauth = _authlib()
        params = [
            ("response_type", "code"),
            ("client_id", self._client_id),
            ("redirect_uri", asking.redirect_uri),
            ("scope", self._scopes),
            ("state", asking.state),
            ("nonce", asking.nonce),
            ("code_challenge", oauth.create_s256_code_challenge(asking.verifier)),
            ("code_challenge_method", "S256"),
        ]
        if asking.fresh:
            params += [("prompt", "login"), ("max_age", "0")]
        where = self.metadata()["authorization_endpoint"]
        return str(oauth.add_params_to_uri(where, params))

    def claims(self, code: str, asking: Asking, now: float) -> dict[str, Any]:
        """What the provider says of whoever came back with `code`; raises
        ProviderFailed where any of it does not hold."""
        token = self._asked(self._exchange(code, asking))
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise ProviderFailed("it gave no ID token: is 'openid' among the scopes?")
        access = token.get("access_token")
        claims = self._verified(id_token, str(access or ""), asking, now)
        if asking.fresh and not (
            -LEEWAY_SECONDS <= now - claims["auth_time"] <= FRESH_SECONDS
        ):
            raise ProviderFailed("the person did not prove themselves again there")
        return {**self._more(str(access or ""), claims["sub"]), **claims}

    def _exchange(self, code: str, asking: Asking) -> Request:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asking.redirect_uri,
            "code_verifier": asking.verifier,
        }
        headers = {**_ACCEPT, "Content-Type": "application/x-www-form-urlencoded"}
        methods = self.metadata().get("token_endpoint_auth_methods_supported")
        if not isinstance(methods, list) or "client_secret_basic" in methods:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        url = self.metadata()["token_endpoint"]
        return Request("POST", url, headers, urlencode(form).encode())

    def _verified(
        self, id_token: str, access_token: str, asking: Asking, now: float
    ) -> dict[str, Any]:
        oauth = _authlib()
        found = self._decoded(id_token)
        options = {"iss": {"essential": True, "values": [self._issuer]}}
        params = {"nonce": asking.nonce, "client_id": self._client_id}
        if access_token:
            params["access_token"] = access_token
        if asking.fresh:
            params["max_age"] = "0"
        with _holding("its ID token does not hold"):
            claims = oauth.CodeIDToken(found.claims, found.header, options, params)
            claims.validate(now=now, leeway=LEEWAY_SECONDS)
        audience = claims["aud"]
        audience = audience if isinstance(audience, list) else [audience]
        if self._client_id not in audience:
            raise ProviderFailed("its ID token is for another client")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise ProviderFailed("its ID token names no subject")
        return dict(claims)

    def _decoded(self, id_token: str) -> Any:
        oauth = _authlib()
        registry = oauth.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        with _holding("its ID token does not hold"):
            try:
                return oauth.jwt.decode(id_token, self._key_set(), registry=registry)
            except oauth.InvalidKeyIdError:
                if _age(self._keys_at) > _KEYS_AGAIN_SECONDS:
                    self._keys_at = 0.0  # it may have new ones
                return oauth.jwt.decode(id_token, self._key_set(), registry=registry)

    def _key_set(self) -> Any:
        oauth = _authlib()
        if not self._keys or _age(self._keys_at) > METADATA_SECONDS:
            url = self.metadata()["jwks_uri"]
            self._keys = self._asked(Request("GET", url, _ACCEPT, retry_safe=True))
            self._keys_at = time.monotonic()
        with _holding("its keys cannot be read"):
            return oauth.KeySet.import_key_set(self._keys)

    def _more(self, access_token: str, subject: str) -> dict[str, Any]:
        """What its user info adds; of another subject it is nothing worth."""
        url = self.metadata().get("userinfo_endpoint")
        if not isinstance(url, str) or not access_token:
            return {}
        headers = {**_ACCEPT, "Authorization": f"Bearer {access_token}"}
        found = self._asked(Request("GET", url, headers, retry_safe=True))
        if found.get("sub") != subject:
            raise ProviderFailed("its user info is of another subject")
        return found

    def _checked(self, found: dict[str, Any]) -> dict[str, Any]:
        if found.get("issuer") != self._issuer:
            raise ProviderFailed(
                f"it calls itself {str(found.get('issuer'))[:200]!r}: give the issuer "
                "exactly so"
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            url = found.get(name)
            if not isinstance(url, str) or not _is_address(url, self._issuer):
                raise ProviderFailed(f"its metadata has no usable {name}")
        return found

    def _asked(self, request: Request) -> dict[str, Any]:
        """The JSON object that is the answer."""
        bounded = Request(
            request.method,
            request.url,
            request.headers,
            request.body,
            request.retry_safe,
            RESPONSE_BYTES,
        )
        said = self._transport.send(bounded)
        where = urlsplit(request.url).path
        if not isinstance(said, Answer):
            raise ProviderFailed(f"{where}: {said.detail}")
        if said.status != HTTPStatus.OK:
            raise ProviderFailed(
                f"{where} answered {said.status}{_error_of(said.body)}"
            )
        found = _object(said.body)
        if found is None:
            raise ProviderFailed(f"{where} answered with no JSON object")
        return found


_ACCEPT: Final[Mapping[str, str]] = {"Accept": "application/json"}


def _authlib() -> Any:
    """The parts of authlib that are used; raises ProviderFailed where it is not
    installed, which is left to operators who want this."""
    try:
        from rps.connectors import openid_parts  # noqa: PLC0415 - an extra
    except ImportError:
        raise ProviderFailed(MISSING) from None
    return openid_parts


@contextmanager
def _holding(complaint: str) -> Iterator[None]:
    """Whatever a hostile token or key makes the library raise is ProviderFailed."""
    oauth = _authlib()
    try:
        yield
    except oauth.JoseError as error:
        said = "".join(each for each in str(error) if each.isprintable())
        raise ProviderFailed(f"{complaint}: {said}"[:300]) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProviderFailed(f"{complaint}: {type(error).__name__}") from None


def _is_address(url: str, issuer: str) -> bool:
    """By https; or, where the issuer is spoken to by http, by that."""
    parts = urlsplit(url)
    return bool(parts.hostname) and parts.scheme in ("https", urlsplit(issuer).scheme)


def _error_of(body: bytes) -> str:
    """The code of an OAuth error, which is a word; not its description, which may
    repeat what was sent."""
    code = (_object(body) or {}).get("error")
    if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum():
        return f" ({code[:60]})"
    return ""


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _age(at: float) -> float:
    return time.monotonic() - at if at else float("inf")
