"""rps keys, and what other commands say where the node's key is not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from rps.keys.key_source import KeyFile, new_word

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rps


@pytest.fixture
def file(environ: dict[str, str | None], tmp_path: Path) -> KeyFile:
    """Where the commands keep their keys; there is none yet."""
    made = KeyFile(tmp_path / "keys")
    environ |= {"RPS_KEY": "", "RPS_KEY_FILE": str(made.path)}
    return made


@pytest.fixture
def acme(rps: Rps, file: KeyFile) -> str:
    """The secret of a system of a node that was set up."""
    assert rps("init").exit_code == 0
    added = rps("system", "add", "acme", "--url", "http://127.0.0.1:9/in")
    assert added.exit_code == 0, added.stderr
    assert len(file.read()) == 1
    return added.stdout.strip()


def uses(rps: Rps) -> list[tuple[str, int]]:
    rows: list[dict[str, Any]] = json.loads(rps("keys", "list", "-o", "json").stdout)
    return [(row["use"], row["domain_keys"]) for row in rows]


def findings(rps: Rps) -> list[str]:
    found: list[dict[str, str]] = json.loads(rps("doctor", "-o", "json").stdout)
    return [f"{f['level']}: {f['cause']}" for f in found if f["check"] == "keys"]


def test_init_makes_the_key_once_and_says_to_keep_it(rps: Rps, file: KeyFile) -> None:
    first = rps("init")
    assert f"made the node's key in {file.path}: keep a copy" in first.stderr
    before = file.path.read_text()
    assert "made the node's key" not in rps("init").stderr
    assert file.path.read_text() == before
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_rotation_makes_a_key_and_the_old_one_can_then_be_dropped(
    rps: Rps, acme: str, file: KeyFile
) -> None:
    (old,) = file.read()
    rotated = rps("keys", "rotate")
    assert "1 domain key(s) are now under key" in rotated.stderr
    assert f"rps keys drop {old.id.hex()}" in rotated.stderr
    assert uses(rps) == [("current", 1), ("older", 0)]
    in_use = rps("keys", "drop", file.read()[0].id.hex())
    assert "is in use" in in_use.stderr
    assert rps("keys", "drop", old.id.hex()).exit_code == 0
    assert old not in file.read()
    assert findings(rps) == ["ok: "]
    assert acme not in rotated.stderr


def test_a_rotation_that_stopped_goes_on_with_the_same_key(
    rps: Rps, acme: str, file: KeyFile
) -> None:
    assert acme
    file.add()  # as far as it got
    assert uses(rps) == [("current", 0), ("older", 1)]
    assert "not under the newest key" in findings(rps)[0]
    assert rps("keys", "rotate").exit_code == 0
    assert uses(rps) == [("current", 1), ("older", 0)]
    assert len(file.read()) == 2


def test_with_keys_of_the_environment_the_operator_puts_the_new_one_first(
    rps: Rps, environ: dict[str, str | None]
) -> None:
    old, new = new_word(), rps("keys", "new").stdout.strip()
    environ["RPS_KEY"] = old
    rps("init")
    rps("system", "add", "acme", "--url", "http://127.0.0.1:9/in")
    refused = rps("keys", "rotate")
    assert refused.exit_code == 2
    assert "put a new one before it" in refused.stderr
    environ["RPS_KEY"] = f"{new} {old}"
    assert rps("keys", "rotate").exit_code == 0
    environ["RPS_KEY"] = new
    assert findings(rps) == ["ok: "]


@pytest.mark.parametrize("wrong", ["missing", "another", "unreadable", "garbled"])
def test_where_the_key_is_not_there_every_start_says_so_and_spoils_nothing(
    rps: Rps, acme: str, file: KeyFile, database: str, wrong: str
) -> None:
    right, (key,) = file.path.read_bytes(), file.read()
    file.path.unlink()
    if wrong == "another":
        file.path.write_text(new_word())
        file.path.chmod(0o600)
    elif wrong == "unreadable":
        file.path.mkdir()
    elif wrong == "garbled":
        file.path.write_bytes(right[:-9])
    said = key.id.hex() if wrong in ("missing", "another") else str(file.path)
    for command in (("init",), ("work",), ("serve",), ("keys", "rotate")):
        ended = rps(*command)
        assert ended.exit_code != 0
        assert said in ended.stderr, (command, ended.stderr)
        assert "Traceback" not in ended.stderr
    assert findings(rps)[0].startswith("error: ")
    assert said in findings(rps)[0]
    if wrong == "missing":
        assert not file.path.exists()
    elif wrong == "unreadable":
        file.path.rmdir()
    file.path.write_bytes(right)
    file.path.chmod(0o600)
    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT wrapped_by FROM domain_keys").fetchall()
    assert rows == [(key.id,)]
    assert findings(rps) == ["ok: "]
    assert acme


def test_plain_secrets_are_told_of_and_sealed_on_demand(
    rps: Rps, acme: str, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("UPDATE secrets SET value = %s, sealed = NULL", (acme,))
        assert "1 secret(s) are kept plain" in findings(rps)[0]
        assert "1 secret(s) sealed" in rps("keys", "encrypt").stderr
        rows = conn.execute("SELECT value FROM secrets").fetchall()
    assert rows == [(None,)]
    assert findings(rps) == ["ok: "]


def test_a_secret_that_was_tampered_with_is_found(
    rps: Rps, acme: str, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("UPDATE secrets SET sealed = set_byte(sealed, 30, 0)")
    found = findings(rps)
    assert "'acme' of top cannot be read" in found[0]
    assert acme not in found[0]


def test_a_key_file_that_others_can_read_is_told_of(
    rps: Rps, acme: str, file: KeyFile
) -> None:
    assert acme
    file.path.chmod(0o644)
    assert "can be read by others" in findings(rps)[0]


def test_a_key_that_is_lost_for_good_is_given_up_by_name(
    rps: Rps, acme: str, file: KeyFile
) -> None:
    (lost,) = file.read()
    known = rps("keys", "abandon", lost.id.hex(), "--yes")
    assert "no key that is missing" in known.stderr
    file.path.unlink()
    assert "Aborted" in rps("keys", "abandon", lost.id.hex(), stdin="n\n").output
    assert "1 secret(s) removed" in (
        rps("keys", "abandon", lost.id.hex(), "--yes").stderr
    )
    assert findings(rps) == ["ok: "]
    again = rps("system", "add", "acme", "--url", "http://127.0.0.1:9/in")
    assert again.exit_code == 0
    assert again.stdout.strip() not in ("", acme)
