"""The bytes of files, in a folder beside the database, named by their SHA-256."""

from __future__ import annotations

import uuid
from hashlib import sha256 as new_hash
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READ_BYTES = 256 * 1024


class Stream(Protocol):
    """What bytes are read from; an empty answer is the end."""

    def read(self, size: int, /) -> bytes: ...


class Contradicted(Exception):
    """The bytes are not those that were announced; they were thrown away."""


class Files:
    """Never more than a piece of a file is in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()  # send_file takes others for its own

    def path(self, sha256: str) -> Path:
        return self._folder / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).exists()

    def take(self, stream: Stream) -> tuple[str, int]:
        """Keep what comes; answers its SHA-256 and how many bytes it was."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{uuid.uuid4()}.new"
        made, size = new_hash(), 0
        try:
            with temporary.open("wb") as file:
                while piece := stream.read(READ_BYTES):
                    made.update(piece)
                    size += len(piece)
                    file.write(piece)
            temporary.replace(self.path(made.hexdigest()))
        finally:
            temporary.unlink(missing_ok=True)
        return made.hexdigest(), size

    def begun(self, sha256: str) -> int:
        """How many bytes are here of a file that is being pulled."""
        part = self._part(sha256)
        return part.stat().st_size if part.exists() else 0

    def go_on(self, sha256: str, pieces: Iterable[bytes], start: int) -> None:
        """Write what comes behind the first `start` bytes; a cut keeps what came."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._part(sha256)
        part.touch()
        with part.open("r+b") as file:
            file.truncate(start)
            file.seek(start)
            for piece in pieces:
                file.write(piece)

    def finish(self, sha256: str) -> None:
        """Raises Contradicted where it is not what its name says."""
        part = self._part(sha256)
        made = new_hash()
        with part.open("rb") as file:
            while piece := file.read(READ_BYTES):
                made.update(piece)
        if made.hexdigest() != sha256:
            part.unlink()
            raise Contradicted(f"its SHA-256 is {made.hexdigest()}")
        part.replace(self.path(sha256))

    def _part(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.part"
