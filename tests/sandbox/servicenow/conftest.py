"""Instances to talk to: within this process, or as processes of their own."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest
from instance_process import CLIENT, CONTROL, PASSWORD, Client, InstanceProcess
from within import Within

from rps.sandbox.servicenow.settings import InstanceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def snow(tmp_path: Path) -> Iterator[Within]:
    """A new instance, within this process."""
    settings = InstanceSettings(
        "snow", tmp_path / "snow.sqlite", PASSWORD, CONTROL, *CLIENT
    )
    within = Within(settings)
    yield within
    within.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[InstanceProcess]:
    """A new instance over TLS."""
    process = InstanceProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstanceProcess]:
    process = InstanceProcess(tmp_path_factory.mktemp("shared"))
    yield process
    process.kill()


@pytest.fixture
def instance(shared: InstanceProcess) -> InstanceProcess:
    """The run's instance over TLS, with other tests' records, but no faults."""
    shared.control("PUT", "/faults", {"faults": []})
    return shared


@pytest.fixture(scope="session")
def environments(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Where clients are installed: the run's own folder, that of all its workers."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(pytestconfig, "workerinput") else folder


@pytest.fixture(scope="session")
def pysnc(environments: Path) -> Client:
    return _installed("pysnc", environments)


@pytest.fixture(scope="session")
def pysnow(environments: Path) -> Client:
    return _installed("pysnow", environments)


def _installed(name: str, folder: Path) -> Client:
    with (folder / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Client.install(name, folder)
