"""The console put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, send_from_directory
from werkzeug.middleware.proxy_fix import ProxyFix

from rps.application.sign_in import SignIn
from rps.http import problems
from rps.http.console import pages, visit
from rps.http.console.entrance import Entrance
from rps.http.console.overview import Overview
from rps.http.console.own_account import OwnAccount
from rps.http.console.visit import let_in
from rps.http.inputs import refuse_nul
from rps.http.routes import register, route

if TYPE_CHECKING:
    from datetime import datetime

    from flask import Response

    from rps.http.parts import Parts

FORM_BYTES_MAX = 64 * 1024
ASSET_SECONDS = 3600


class Assets:
    """What pages are dressed in; nothing of it comes from elsewhere."""

    @route("GET", "/console/<name>", "Stylesheet and icon")
    @let_in("anybody")
    def get_asset(self, name: str) -> Response:
        return send_from_directory(
            f"{__file__.rpartition('/')[0]}/static", name, max_age=ASSET_SECONDS
        )


def create_console(parts: Parts) -> Flask:
    """The WSGI application of the pages; raises PolicyMissing."""
    console = Flask("rps.http.console", static_folder=None)
    console.config["MAX_CONTENT_LENGTH"] = FORM_BYTES_MAX
    console.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    console.jinja_env.filters["moment"] = _moment
    console.jinja_env.globals["form_token"] = pages.form_token
    console.jinja_env.trim_blocks = True
    sign_in = SignIn(parts.application, parts.random_bytes, parts.hasher)
    resources = {
        "entrance": Entrance(parts, sign_in),
        "overview": Overview(parts),
        "account": OwnAccount(parts, sign_in),
        "assets": Assets(),
    }
    for name, resource in resources.items():
        register(console, name, resource, prefix="")
    console.before_request(refuse_nul)
    visit.install(console, parts, sign_in)
    console.after_request(pages.secured)
    problems.install(console, pages.ERRORS, pages.error_page)
    if parts.proxies:
        # The address that the outermost of our own proxies saw.
        fixed = ProxyFix(console.wsgi_app, x_for=parts.proxies, x_proto=0, x_host=0)
        console.wsgi_app = fixed  # type: ignore[method-assign]  # as Flask suggests
    return console


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
