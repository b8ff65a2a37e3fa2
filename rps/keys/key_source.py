"""The operator's keys: from a file, the environment, or a command.

A key is one word, `rpskey_` and 32 bytes in base64url. Several may be known at once:
the first seals what is new, the others open what there is.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from rps.keys.envelope import KEY_BYTES, Key, KeyTrouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rps.config import Config

COMMAND_SECONDS = 10.0
AGAIN_SECONDS = 5.0
"""A source that lacked a key is not asked for that one again before."""
SAID_BYTES_MAX = 64 * 1024

_WORD = re.compile(r"rpskey_[A-Za-z0-9_-]{43}")


class KeySource(Protocol):
    """Where keys are read from."""

    @property
    def name(self) -> str:
        """To the operator: which setting or file."""
        ...

    def read(self) -> tuple[Key, ...]:
        """None where nothing is there yet. Raises KeyTrouble."""
        ...


def source_of(config: Config) -> KeySource:
    """The one that the operator set; the file under the data folder otherwise."""
    if config.key:
        return KeyInEnvironment(config.key)
    if config.key_command:
        return KeyCommand(config.key_command)
    return KeyFile(config.key_file or config.data_dir / "keys")


def word_of(key: Key) -> str:
    """A key as it is written down."""
    return f"rpskey_{urlsafe_b64encode(key.secret).decode().rstrip('=')}"


def new_word() -> str:
    return word_of(Key.named_by_itself(os.urandom(KEY_BYTES)))


def keys_in(text: str, name: str) -> tuple[Key, ...]:
    """The keys of `text`, which is not repeated. Raises KeyTrouble."""
    lines = [line.partition("#")[0] for line in text.splitlines()]
    words = " ".join(lines).replace(",", " ").split()
    found: dict[Key, None] = {}
    for place, word in enumerate(words, 1):
        if _WORD.fullmatch(word) is None:
            raise KeyTrouble(
                f"{name}: word {place} of {len(words)} is no key: a key is rpskey_ and"
                " 43 characters; rps keys new prints one"
            )
        secret = urlsafe_b64decode(word.removeprefix("rpskey_") + "=")
        found[Key.named_by_itself(secret)] = None
    return tuple(found)


class KeyInEnvironment:
    name = "RPS_KEY"

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> tuple[Key, ...]:
        return keys_in(self._text, self.name)


class KeyCommand:
    """A client of a vault or key service. What it says is never logged or shown."""

    name = "RPS_KEY_COMMAND"

    def __init__(self, command: str) -> None:
        self._arguments = shlex.split(command)

    def read(self) -> tuple[Key, ...]:
        program = self._arguments[0]
        try:
            ended = subprocess.run(
                self._arguments,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise KeyTrouble(
                f"{self.name}: {program} did not answer within {COMMAND_SECONDS:g} s"
            ) from None
        except OSError as error:
            raise KeyTrouble(
                f"{self.name}: {program} cannot be run: {error.strerror}"
            ) from None
        if ended.returncode != 0:
            raise KeyTrouble(f"{self.name}: {program} ended with {ended.returncode}")
        said = ended.stdout[:SAID_BYTES_MAX].decode("ascii", "replace")
        keys = keys_in(said, self.name)
        if not keys:
            raise KeyTrouble(f"{self.name}: {program} printed no key")
        return keys


class KeyFile:
    """A file that only its owner reads, one key a line. The newest comes first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self) -> tuple[Key, ...]:
        try:
            with self.path.open(encoding="ascii", errors="replace") as file:
                text = file.read(SAID_BYTES_MAX)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise KeyTrouble(
                f"{self.path} cannot be read: {error.strerror}; whoever runs rps has"
                " to be its owner"
            ) from None
        return keys_in(text, self.name)

    @property
    def is_open_to_others(self) -> bool:
        try:
            return bool(self.path.stat().st_mode & 0o077)
        except OSError:
            return False

    def add(self, word: str | None = None) -> Key:
        """Put a key, a new one as a rule, before those there are. Raises KeyTrouble."""
        (key,) = keys_in(word or new_word(), self.name)
        with self._alone():
            self._write((key, *(each for each in self.read() if each != key)))
        return key

    def add_first(self) -> Key | None:
        """The first key of all; None where there is one already."""
        with self._alone():
            if self.read():
                return None
            key = Key.named_by_itself(os.urandom(KEY_BYTES))
            self._write((key,))
            return key

    def drop(self, key: Key) -> None:
        with self._alone():
            self._write(tuple(each for each in self.read() if each != key))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
            os.fsync(lock)  # the new name
        finally:
            os.close(lock)

    def _write(self, keys: tuple[Key, ...]) -> None:
        """All of it or nothing, for a file of keys cannot be made again."""
        folder, name = self.path.parent, self.path.name
        made = folder / f".{name}.{os.getpid()}"
        try:
            made.unlink(missing_ok=True)
            file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as writing:
                writing.writelines(f"{word_of(key)}\n" for key in keys)
                writing.flush()
                os.fsync(writing.fileno())
            if self.path.exists():
                kept = self.path.stat()
                os.chown(made, kept.st_uid, kept.st_gid)
            made.rename(self.path)
        except OSError as error:
            with suppress(OSError):
                made.unlink(missing_ok=True)
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> KeyTrouble:
        return KeyTrouble(
            f"{self.path} cannot be written: {error.strerror}; name another file in"
            " RPS_KEY_FILE, or set RPS_KEY"
        )


class Keyring:
    """The operator's keys as this process knows them. One that is asked for and not
    known is looked for again: somebody may have added it."""

    def __init__(self, source: KeySource) -> None:
        self.source = source
        self._keys: tuple[Key, ...] | None = None
        self._missed: dict[bytes, float] = {}

    def known(self) -> tuple[Key, ...]:
        """Raises KeyTrouble."""
        if self._keys is None:
            self.refresh()
        return self._keys or ()

    def refresh(self) -> tuple[Key, ...]:
        """As the source has them now. Raises KeyTrouble."""
        self._keys = self.source.read()
        return self._keys

    def current(self) -> Key:
        """The one that wraps what is new. Raises KeyTrouble."""
        keys = self.known()
        if not keys:
            raise KeyTrouble(
                f"this node has no key yet ({self.source.name}): run rps init, or"
                " bring the key file of the node's other machines here"
            )
        return keys[0]

    def key(self, key_id: bytes) -> Key:
        """Raises KeyTrouble."""
        if (found := self._found(key_id)) is not None:
            return found
        if monotonic() - self._missed.get(key_id, -AGAIN_SECONDS) >= AGAIN_SECONDS:
            self._missed[key_id] = monotonic()
            self.refresh()
            if (found := self._found(key_id)) is not None:
                return found
        there = ", ".join(key.id.hex() for key in self.known()) or "no key at all"
        raise KeyTrouble(
            f"the node's secrets are under key {key_id.hex()}, and"
            f" {self.source.name} has {there}: bring the right key back. Nothing was"
            " changed"
        )

    def _found(self, key_id: bytes) -> Key | None:
        return next((key for key in self.known() if key.id == key_id), None)
