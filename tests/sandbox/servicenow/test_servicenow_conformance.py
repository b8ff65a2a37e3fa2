"""The conformance suite against an instance in a process of its own, over TLS."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

import pytest
from instance_process import CLIENT, PASSWORD

from rps.cli.conformance import SAMPLES
from rps.connectors.conformance import suite, systems, tried
from rps.connectors.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instance_process import InstanceProcess

    from rps.connectors.conformance.results import Result


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "LOOK_SECONDS", 0.0)


@pytest.fixture
def wire(instance: InstanceProcess) -> Iterator[Transport]:
    loopback = (ipaddress.ip_network("127.0.0.0/8"),)
    transport = Transport(loopback, authorities=instance.pem.read_text())
    yield transport
    transport.close()


def run(wire: Transport, instance: InstanceProcess, **more: Any) -> dict[str, Result]:
    settings = {"url": instance.url, "username": "rps.integration", **more}
    secret = json.dumps({"password": PASSWORD, "client_secret": CLIENT[1]})
    system = systems.instance(wire, settings, secret, SAMPLES["servicenow"])
    return {each.case: each for each in suite.run(system)}


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"auth": "oauth-password", "client_id": CLIENT[0]},
        {"auth": "oauth-client", "client_id": CLIENT[0]},
    ],
    ids=["basic", "oauth-password", "oauth-client"],
)
def test_the_connector_passes_every_case(
    wire: Transport, instance: InstanceProcess, login: dict[str, str]
) -> None:
    results = run(wire, instance, **login)
    assert [each for each in results.values() if each.passed is not True] == []
    assert results.keys() == suite.CASES.keys()


def test_an_instance_that_is_an_hour_ahead_passes_as_well(
    wire: Transport, instance: InstanceProcess
) -> None:
    instance.control("PATCH", "/behaviour", {"skew_seconds": 3600})
    try:
        results = run(wire, instance)
    finally:
        instance.control("PATCH", "/behaviour", {"skew_seconds": 0})
    assert [each for each in results.values() if each.passed is not True] == []


def test_an_instance_that_drops_comments_without_a_word_is_found_out(
    wire: Transport, instance: InstanceProcess
) -> None:
    """Access controls leave out what the account may not write; a comment that was lost
    so counted as delivered."""
    before = instance.control("GET", "/behaviour", None)["field_roles"]
    hidden = {"incident.comments": ["nobody"]}
    instance.control("PATCH", "/behaviour", {"field_roles": {**before, **hidden}})
    try:
        results = run(wire, instance)
    finally:
        instance.control("PATCH", "/behaviour", {"field_roles": before})
    failed = [name for name, each in results.items() if each.passed is False]
    assert failed == ["comment", "uncertain-comment"]
    for name in failed:
        assert "let the account read and write that field" in results[name].says
