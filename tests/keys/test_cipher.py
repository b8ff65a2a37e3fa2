"""Sealed secrets in a real database: domains' keys, rotation, what is lost."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from rps.application import RemoteProcessSync
from rps.application.secret_store import SecretStore
from rps.keys.envelope import KeyTrouble, Unreadable
from rps.keys.key_source import KeyFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Opened = Callable[..., RemoteProcessSync]


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    made = KeyFile(tmp_path / "keys")
    made.add_first()
    return made


@pytest.fixture
def opened(database: str, file: KeyFile) -> Iterator[Opened]:
    """Another process of the node, as far as keys go; on `file` unless told."""
    there: list[RemoteProcessSync] = []

    def make(keys: KeyFile = file) -> RemoteProcessSync:
        there.append(RemoteProcessSync(database, connections=4, keys=keys))
        return there[-1]

    yield make
    for each in there:
        each.close()


def store(application: RemoteProcessSync) -> SecretStore:
    return SecretStore(application, os.urandom)


def test_a_secret_is_nowhere_in_the_database_as_it_is(
    opened: Opened, database: str
) -> None:
    secrets = store(opened())
    secrets.keep("top/acme", "jira", "canary-8417")
    assert secrets.live("top/acme", ["jira"]) == ["canary-8417"]
    with psycopg.connect(database) as conn:
        row = conn.execute("SELECT value, sealed, secrets::text FROM secrets")
        value, sealed, text = row.fetchone() or ()
    assert value is None
    assert b"canary" not in sealed
    assert "canary" not in text


def test_secrets_are_made_replaced_renamed_and_dropped_as_before(
    opened: Opened,
) -> None:
    secrets = store(opened())
    made = secrets.make("top", "a")
    assert made is not None
    assert secrets.make("top", "a") is None
    secrets.rename("top", "a", "b")
    secrets.rename("top", "nothing", "b")
    assert secrets.live("top", ["a", "b"]) == [made]
    secrets.keep("top", "b", "another")
    assert secrets.live("top", ["b"], 60.0) == ["another"]
    assert secrets.live("top", ["b"], 0.0) == []
    assert (secrets.drop("top", "b"), secrets.drop("top", "b")) == (True, False)


def test_a_secret_moved_to_another_row_or_domain_does_not_open(
    opened: Opened, database: str
) -> None:
    secrets = store(opened())
    for domain in ("top/acme", "top/zenith"):
        secrets.keep(domain, "jira", f"of {domain}")
        secrets.keep(domain, "other", "other")
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(
            "UPDATE secrets SET sealed = s.sealed FROM secrets s"
            " WHERE secrets.name = 'jira' AND s.name = 'other'"
            " AND s.domain = secrets.domain AND s.domain = 'top/acme'"
        )
        conn.execute(
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets"
            " WHERE domain = 'top/acme' AND name = 'other')"
            " WHERE domain = 'top/zenith' AND name = 'jira'"
        )
    for domain in ("top/acme", "top/zenith"):
        with pytest.raises(Unreadable):
            secrets.live(domain, ["jira"])
        assert secrets.live(domain, ["other"]) == ["other"]
    assert [row[:2] for row in secrets.check()] == [
        ("top/acme", "jira"),
        ("top/zenith", "jira"),
    ]


def test_processes_may_make_a_domains_first_key_at_once(
    opened: Opened,
) -> None:
    stores = [store(opened()) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda n: stores[n].keep("top", f"s{n}", f"v{n}"), range(6)))
    names = [f"s{n}" for n in range(6)]
    assert store(opened()).live("top", names) == [f"v{n}" for n in range(6)]


def test_rotation_goes_on_where_it_stopped_and_nobody_has_to_start_again(
    opened: Opened, file: KeyFile, database: str
) -> None:
    running, operator = opened(), opened()
    for number in range(5):
        store(running).keep(f"top/d{number}", "s", "v")
    (old,) = file.read()
    new = file.add()
    operator.cipher.keyring.refresh()
    with psycopg.connect(database, autocommit=True) as conn:
        # the third one stops it, as a lost connection would
        conn.execute(
            "ALTER TABLE domain_keys ADD CONSTRAINT stop CHECK"
            f" (domain <> 'top/d2' OR wrapped_by = '\\x{old.id.hex()}')"
        )
        with pytest.raises(Exception, match="stop"):
            operator.cipher.rewrap()
        assert operator.cipher.uses() == {new.id: 2, old.id: 3}
        assert store(running).live("top/d4", ["s"]) == ["v"]
        conn.execute("ALTER TABLE domain_keys DROP CONSTRAINT stop")
    assert operator.cipher.rewrap() == 3
    assert operator.cipher.rewrap() == 0
    file.drop(old)
    # one that started before, one that starts now, and a domain nobody knew
    for each in (running, opened()):
        assert store(each).live("top/d0", ["s"]) == ["v"]
    store(running).keep("top/new", "s", "v")
    assert operator.cipher.uses() == {new.id: 6}


def test_a_missing_or_wrong_key_is_named_and_nothing_is_changed(
    opened: Opened, tmp_path: Path, database: str, file: KeyFile
) -> None:
    store(opened()).keep("top", "s", "v")
    with psycopg.connect(database) as conn:
        before = conn.execute("SELECT s, k FROM secrets s, domain_keys k").fetchall()
    wrong = KeyFile(tmp_path / "wrong")
    there = wrong.add_first()
    assert there is not None
    for keys in (wrong, KeyFile(tmp_path / "none")):
        broken = opened(keys)
        for attempt in (
            broken.cipher.check,
            lambda: store(broken).live("top", ["s"]),  # noqa: B023 - called here
            lambda: store(broken).keep("top", "s", "other"),  # noqa: B023
        ):
            with pytest.raises(KeyTrouble, match=file.read()[0].id.hex()):
                attempt()
    with psycopg.connect(database) as conn:
        after = conn.execute("SELECT s, k FROM secrets s, domain_keys k").fetchall()
    assert after == before


def test_plain_secrets_are_read_until_they_are_sealed_one_by_one(
    opened: Opened, database: str
) -> None:
    secrets = store(opened())
    with psycopg.connect(database, autocommit=True) as conn:
        for number in range(3):
            conn.execute(
                "INSERT INTO secrets (domain, name, value) VALUES ('top', %s, %s)",
                (f"s{number}", f"v{number}"),
            )
        conn.execute(
            "ALTER TABLE secrets ADD CONSTRAINT stop CHECK"
            " (name <> 's1' OR sealed IS NULL)"
        )
        with pytest.raises(Exception, match="stop"):
            secrets.seal_all()
        conn.execute("ALTER TABLE secrets DROP CONSTRAINT stop")
    names = ["s0", "s1", "s2"]
    assert secrets.live("top", names) == ["v0", "v1", "v2"]
    assert secrets.plain() > 0
    secrets.seal_all()
    assert secrets.plain() == 0
    assert secrets.live("top", names) == ["v0", "v1", "v2"]


def test_new_domain_keys_seal_everything_anew_and_old_ones_still_open(
    opened: Opened, database: str
) -> None:
    running, operator = opened(), opened()
    store(running).keep("top", "a", "of a")
    store(running).keep("top", "b", "of b")
    with psycopg.connect(database) as conn:
        before = conn.execute("SELECT sealed FROM secrets ORDER BY name").fetchall()
    operator.cipher.renew("top")
    assert store(operator).seal_all() == 2
    assert store(operator).seal_all() == 0
    with psycopg.connect(database) as conn:
        after = conn.execute("SELECT sealed FROM secrets ORDER BY name").fetchall()
    assert {row[0][1:9] for row in before}.isdisjoint(row[0][1:9] for row in after)
    assert store(running).live("top", ["a", "b"]) == ["of a", "of b"]
    # what another process sealed meanwhile, and somebody's backup
    place = ("top", "secrets", "sealed", "a")
    assert running.cipher.decrypt(*place, before[0][0]) == b"of a"
    assert running.cipher.encrypt(*place, b"new")[1:9] == after[0][0][1:9]
