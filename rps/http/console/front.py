"""Which of the two applications a request is for: the console's paths are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask


class Front:
    """The console answers where its routes begin, the API everywhere else."""

    def __init__(self, api: WSGIApplication, console: Flask) -> None:
        self._api = api
        self._console = console
        self._begin = {_first(rule.rule) for rule in console.url_map.iter_rules()}

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        if _first(environ["PATH_INFO"]) in self._begin:
            return self._console(environ, start_response)
        return self._api(environ, start_response)


def _first(path: str) -> str:
    """The path up to its second slash; "" of the path "/"."""
    return path.removeprefix("/").partition("/")[0]
