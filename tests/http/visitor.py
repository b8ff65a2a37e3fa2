"""A browser as far as forms, cookies and redirects go: what a person without scripts
sees. It sends what browsers send of where a request comes from."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

LOCAL = "http://localhost"


class Page:
    def __init__(self, response: TestResponse, url: str) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.url = url
        self.html = response.get_data(as_text=True)
        self.forms = _forms(self.html)

    @property
    def text(self) -> str:
        """What is read, in one line."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.html)).split())

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def cookies(self) -> list[str]:
        return self.headers.getlist("Set-Cookie")

    def form(self, action: str) -> dict[str, str]:
        """The fields of the form that is sent there, as they are filled in."""
        return dict(self.forms[action])


class Visitor:
    """`at` is what is in its address bar; `source` where its requests come from."""

    def __init__(self, app: Any, at: str = LOCAL, source: str = "127.0.0.1") -> None:
        self.at = at
        self._client = app.test_client()
        self._source = source

    def get(self, path: str, *, follow: bool = True, **headers: str) -> Page:
        sent = {"Sec-Fetch-Site": "none", **_named(headers)}
        return self._page("GET", path, sent, None, follow=follow)

    def post(
        self, path: str, fields: dict[str, str], *, follow: bool = True, **headers: str
    ) -> Page:
        """A form of a page of the same address, unless headers say otherwise."""
        own = {"Sec-Fetch-Site": "same-origin", "Origin": self.at}
        sent = {**own, **_named(headers)}
        sent = {name: value for name, value in sent.items() if value}
        return self._page("POST", path, sent, fields, follow=follow)

    def submit(self, page: Page, action: str, **fields: str) -> Page:
        return self.post(action, {**page.form(action), **fields})

    def sign_in(self, account: str, password: str) -> Page:
        page = self.get("/sign-in")
        return self.submit(page, "/sign-in", account=account, password=password)

    def cookie(self, name: str = "rps-80") -> str | None:
        found = self._client.get_cookie(name, domain=urlsplit(self.at).hostname)
        return found.value if found else None

    def hold(self, value: str, name: str = "rps-80") -> None:
        host = urlsplit(self.at).hostname
        self._client.set_cookie(name, value, domain=host, secure="https" in self.at)

    def _page(
        self, method: str, path: str, headers: Any, fields: Any, *, follow: bool
    ) -> Page:
        answer = self._client.open(
            path,
            method=method,
            data=fields,
            headers=headers,
            base_url=self.at,
            environ_overrides={"REMOTE_ADDR": self._source},
        )
        to = answer.headers.get("Location", "")
        if follow and answer.status_code in (302, 303) and not urlsplit(to).netloc:
            return self.get(to)
        return Page(answer, urljoin(self.at, path))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _forms(html: str) -> dict[str, dict[str, str]]:
    reader = _Forms()
    reader.feed(html)
    return reader.found


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self._fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "form":
            self._fields = self.found.setdefault(said.get("action") or "", {})
        elif tag == "input" and said.get("name"):
            self._fields[str(said["name"])] = said.get("value") or ""
