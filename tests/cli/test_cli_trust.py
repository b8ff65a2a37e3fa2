"""rps system trust, and --ca: a certificate of a company's own authority."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from private_authority import Authority
from werkzeug.serving import make_server

from rps.sandbox.server import SandboxSettings
from rps.sandbox.tickets import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Rps


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """What people are handed: a file with text around the certificate."""
    authority = Authority("Acme root")
    file = tmp_path / "acme-ca.pem"
    file.write_text(f"subject=CN = Acme root\n{authority.pem}")
    file.with_suffix(".served").mkdir()
    authority.serves(file.with_suffix(".served"))
    return file


@pytest.fixture
def desk(rps: Rps, ca: Path, tmp_path: Path) -> Iterator[str]:
    """The system `desk` behind TLS, registered, disabled and not trusted yet."""
    served = str(ca.with_suffix(".served") / "server.pem")
    added = ("system", "add", "desk", "--url")
    secret = rps(*added, "https://127.0.0.1:1/rps").stdout.strip()
    app = create_app(SandboxSettings("desk", tmp_path / "desk.sqlite", (secret,)))
    server = make_server(
        "127.0.0.1", 0, app, threaded=True, ssl_context=(served, served)
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"https://127.0.0.1:{server.server_port}/rps"
    rps(*added, url)
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_system_is_active_once_its_authority_is_named(
    rps: Rps, desk: str, ca: Path
) -> None:
    refused = rps("system", "activate", "desk")
    assert refused.exit_code == 4
    assert "rps system trust" in refused.stderr

    named = rps("system", "add", "desk", "--url", desk, "--ca", str(ca))
    assert named.exit_code == 0
    assert rps("system", "activate", "desk").exit_code == 0

    assert rps("system", "trust", "desk", "--public").exit_code == 0
    assert rps("system", "check", "desk").exit_code == 4
    told = rps("system", "trust", "desk", "--ca", str(ca))
    assert "verified against the authorities in" in told.stderr
    assert rps("system", "check", "desk").exit_code == 0


def test_a_file_that_is_no_authority_changes_nothing(
    rps: Rps, desk: str, ca: Path
) -> None:
    ca.write_text("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n")
    for command in (("add", "desk", "--url", desk), ("trust", "desk")):
        refused = rps("system", *command, "--ca", str(ca))
        assert refused.exit_code == 2
        assert "it is no PEM file" in refused.stderr
    plain = rps("system", "add", "desk", "--url", "http://desk/rps", "--ca", str(ca))
    assert plain.exit_code == 2
    assert "write an https URL" in plain.stderr


def test_either_a_file_or_the_public_authorities(rps: Rps, desk: str, ca: Path) -> None:
    for options in ((), ("--public", "--ca", str(ca))):
        assert rps("system", "trust", "desk", *options).exit_code == 2
    assert rps("system", "trust", "nobody", "--public").exit_code == 3
    assert desk.startswith("https")
