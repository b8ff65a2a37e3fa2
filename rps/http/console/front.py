"""Which of the two applications a request is for: the console's paths are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.http.console.visit import HOME

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask


class Front:
    """The console answers where its routes begin, the API everywhere else."""

    def __init__(self, api: WSGIApplication, console: Flask) -> None:
        self._api = api
        self._console = console
        rules = [rule.rule for rule in console.url_map.iter_rules()]
        self._begin = {_first(rule) for rule in rules if rule != HOME}

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == HOME or _first(path) in self._begin:
            return self._console(environ, start_response)
        return self._api(environ, start_response)


def _first(path: str) -> str:
    """Of the path, what stands between its first two slashes."""
    return path.removeprefix("/").partition("/")[0]
