"""A real provider of identities on loopback, and a person who signs in there.

The provider is a package of its own; here it is made as strict as those of companies
are: clients are registered, and a code is only good with the verifier of its challenge.
"""

from __future__ import annotations

import io
import threading
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import oidc_provider_mock
import urllib3
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HTTP = urllib3.PoolManager(retries=False)


class Strict:
    """Before the provider: S256 challenges are required, and held to."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._challenges: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/oauth2/token":
            form = self._form(environ)
            verifier = sha256(form.get("code_verifier", "").encode()).digest()
            said = urlsafe_b64encode(verifier).decode().rstrip("=")
            if self._challenges.pop(form.get("code", ""), None) != said:
                start_response(
                    "400 Bad Request", [("Content-Type", "application/json")]
                )
                return [b'{"error": "invalid_grant", "error_description": "s3cret"}']
        if environ["PATH_INFO"] != "/oauth2/authorize":
            return self._provider(environ, start_response)
        query = _first(parse_qs(environ["QUERY_STRING"]))
        assert query["code_challenge_method"] == "S256"
        self.asked.append(query)

        def remember(status: str, headers: Any, *rest: Any) -> Any:
            code = parse_qs(urlsplit(dict(headers).get("Location", "")).query)
            for each in code.get("code", []):
                self._challenges[each] = query["code_challenge"]
            return start_response(status, headers, *rest)

        return self._provider(environ, remember)

    def _form(self, environ: dict[str, Any]) -> dict[str, str]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        return _first(parse_qs(body.decode()))


class IdentityProvider:
    def __init__(self, url: str, strict: Strict) -> None:
        self.url = url
        self._strict = strict
        self.known: dict[str, dict[str, Any]] = {}
        self.tells_when = True

    @property
    def asked(self) -> list[dict[str, str]]:
        """The parameters of each authorization that was asked for."""
        return self._strict.asked

    def client(self, redirect_uri: str) -> tuple[str, str]:
        """Id and secret of a client registered for that address."""
        url = f"{self.url}/oauth2/clients"
        said = HTTP.request("POST", url, json={"redirect_uris": [redirect_uri]}).json()
        return said["client_id"], said["client_secret"]

    def employ(self, subject: str, **claims: Any) -> None:
        said = HTTP.request("PUT", f"{self.url}/users/{subject}", json=claims)
        assert said.status == 204, said.data

    def sign_in(self, way: str, subject: str) -> str:
        """Where a person who was sent there is sent back to."""
        if "max_age" in way and self.tells_when:
            now = {"auth_time": int(time.time())}
            self.employ(subject, **{**self.known.get(subject, {}), **now})
        said = HTTP.request(
            "POST", way, fields={"sub": subject}, redirect=False, encode_multipart=False
        )
        assert said.status == 302, said.data
        return str(said.headers["Location"])

    def knows(self, subject: str, **claims: Any) -> None:
        """Employ, and remember the claims for another sign-in."""
        self.known[subject] = claims
        self.employ(subject, **claims)


@contextmanager
def running() -> Iterator[IdentityProvider]:
    app = oidc_provider_mock.app(require_client_registration=True, require_nonce=True)
    strict = Strict(app.wsgi_app)
    app.wsgi_app = strict
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield IdentityProvider(f"http://127.0.0.1:{server.server_port}", strict)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _first(found: dict[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in found.items()}
