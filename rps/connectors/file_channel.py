"""Checkpoints into a file: one signed note after the other, a blank line between.

The file is worth as much as it is out of reach of whoever runs the node: a mount that
only grows, a folder that another company copies away.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from rps.connectors.announcing import Again, Announced, Announcement, Told

if TYPE_CHECKING:
    from pathlib import Path

TAIL_BYTES = 64 * 1024
"""How far back it is looked whether the file has a note already."""


class FileChannel:
    def __init__(self, path: Path) -> None:
        self._path = path

    def announce(self, said: Announcement) -> Announced:
        note = str(said.data.get("checkpoint", ""))
        try:
            return self._written(f"{note}\n".encode() if note else b"")
        except OSError as error:
            return Again(f"{self._path}: {error.strerror}")

    def _written(self, note: bytes) -> Announced:
        """Nothing of a test: the file has notes only."""
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - TAIL_BYTES))
            if not note or note in file.read():
                return Told(f"{self._path} can be written" if not note else "there")
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        return Told(f"{self._path}, {end + len(note)} bytes")
