"""Where the operator's keys come from, and what is said where they do not."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from rps.config import Config, ConfigurationError
from rps.keys import key_source
from rps.keys.envelope import KeyTrouble
from rps.keys.key_source import (
    KeyCommand,
    KeyFile,
    KeyInEnvironment,
    Keyring,
    keys_in,
    new_word,
    source_of,
    word_of,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data" / "keys")


def test_keys_are_read_in_order_with_remarks_left_out() -> None:
    first, second = new_word(), new_word()
    keys = keys_in(f"# of march\n{first}  # new\n\n{second}, {first}\n", "it")
    assert [word_of(key) for key in keys] == [first, second]


def test_a_word_that_is_no_key_is_named_by_its_place_and_not_repeated() -> None:
    with pytest.raises(KeyTrouble, match="RPS_KEY: word 2 of 2 is no key") as raised:
        KeyInEnvironment(f"{new_word()} hunter2").read()
    assert "hunter2" not in str(raised.value)


def test_a_key_file_is_made_for_its_owner_only_and_once(file: KeyFile) -> None:
    made = file.add_first()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert not file.is_open_to_others
    assert file.add_first() is None
    assert file.read() == (made,)


def test_a_new_key_comes_first_and_the_old_ones_stay(file: KeyFile) -> None:
    old = file.add_first()
    assert old is not None
    new = file.add()
    assert file.read() == (new, old)
    file.drop(old)
    assert file.read() == (new,)
    assert [each.name for each in file.path.parent.iterdir()] == ["keys"]


def test_a_key_file_that_cannot_be_written_keeps_what_it_has(file: KeyFile) -> None:
    file.add_first()
    before = file.path.read_text()
    # a folder where the new file is to be written first: nobody can write that
    (file.path.parent / f".keys.{os.getpid()}").mkdir()
    with pytest.raises(KeyTrouble, match="cannot be written"):
        file.add()
    assert file.path.read_text() == before


def test_a_command_prints_keys_and_is_never_quoted() -> None:
    word = new_word()
    assert KeyCommand(f"echo {word}").read() == keys_in(word, "it")
    leaking = "import sys; print('hunter2'); print('hunter2', file=sys.stderr)"
    for end in ("", "; sys.exit(3)"):
        with pytest.raises(KeyTrouble) as raised:
            KeyCommand(f'{sys.executable} -c "{leaking}{end}"').read()
        assert "hunter2" not in str(raised.value)
    assert "ended with 3" in str(raised.value)


@pytest.mark.parametrize(
    ("command", "said"),
    [("/no/such/vault", "cannot be run"), ("true", "printed no key")],
)
def test_a_command_that_gives_no_key_says_why(command: str, said: str) -> None:
    with pytest.raises(KeyTrouble, match=said):
        KeyCommand(command).read()


def test_a_command_is_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_source, "COMMAND_SECONDS", 0.2)
    with pytest.raises(KeyTrouble, match=r"did not answer within 0\.2 s"):
        KeyCommand("sleep 60").read()


def test_a_key_that_is_not_known_is_looked_for_again(
    file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(key_source, "monotonic", lambda: now)
    file.add_first()
    ring = Keyring(file)
    ring.known()
    new = file.add()
    assert ring.key(new.id) == new
    absent = b"a" * 8
    for _ in range(2):
        with pytest.raises(KeyTrouble, match=absent.hex()):
            ring.key(absent)
    newer = file.add()
    with pytest.raises(KeyTrouble):  # a source is not asked at every failure
        ring.key(absent)
    assert ring.current() == new
    now += key_source.AGAIN_SECONDS + 1
    with pytest.raises(KeyTrouble):
        ring.key(absent)
    assert ring.current() == newer


def test_the_keys_are_in_one_place(tmp_path: Path) -> None:
    data = {"RPS_DATA_DIR": str(tmp_path)}
    assert source_of(Config.from_environ(data)).name == str(tmp_path / "keys")
    named = Config.from_environ(data | {"RPS_KEY_FILE": "/etc/rps/keys"})
    assert source_of(named).name == "/etc/rps/keys"
    given = Config.from_environ(data | {"RPS_KEY": "hunter2"})
    assert "hunter2" not in repr(given)
    with pytest.raises(ConfigurationError, match="one of them"):
        Config.from_environ(data | {"RPS_KEY": "x", "RPS_KEY_COMMAND": "y"})
    with pytest.raises(ConfigurationError, match="RPS_KEY_COMMAND"):
        Config.from_environ(data | {"RPS_KEY_COMMAND": "vault 'x"})
