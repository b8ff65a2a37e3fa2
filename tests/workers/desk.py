"""A workplace where acme offers files and zenith is told of them."""

from __future__ import annotations

import hashlib
import threading
from copy import deepcopy
from typing import Any

from offering import Offering
from workplace import DEFINITION, Workplace

from rps.workers.fetcher import Fetcher


class Desk(Workplace):
    """acme offers files; zenith's system is told of them."""

    def __init__(self, database: str) -> None:
        super().__init__(database)
        document: dict[str, Any] = deepcopy(DEFINITION)
        document["attachments"] = {
            "journal": "comments",
            "size_max": "1 GB",
            "deletion": True,
        }
        self.application.apply_definition(document, "tester", self.now())
        self.acme = Offering()
        self.trackers["acme"].fetch = self.acme.fetch  # type: ignore[attr-defined]
        self._done = threading.Semaphore(0)
        self.fetcher = self.new_fetcher()

    def new_fetcher(self) -> Fetcher:
        return Fetcher(
            self.application, self._connect, self.now, lambda: 0.5, self._done.release
        )

    def close(self) -> None:
        self.acme.gate.set()
        self.fetcher.close()
        self.acme.close()
        super().close()

    def offers(self, *files: dict[str, Any], **more: Any) -> Any:
        return self.change(attachments=list(files), **more)

    def fetch(self) -> int:
        """One look, and what came of it; answers how many files it asked for."""
        begun = self.fetcher._begin()
        for _ in range(begun):
            assert self._done.acquire(timeout=30)
        self.fetcher._release()
        return begun

    def fetched(self) -> None:
        """Until nothing moves, letting pauses pass."""
        moved = 1
        while moved:
            self.receive()
            moved = self.fetch()
            moved += self.deliver()
            moved += self.pause_over()

    def pause_over(self) -> bool:
        return bool(
            self.ask(
                "UPDATE blobs SET due_at = now()"
                " WHERE NOT complete AND due_at > now() RETURNING 1"
            )
        )

    def written(self) -> list[list[str]]:
        """Names of the files in each write that zenith took."""
        return [
            [file.name for file in write.attachments]
            for write in self.trackers["zenith"].applied
        ]

    def blob(self, content: bytes) -> bytes:
        digest = hashlib.sha256(content).hexdigest()
        return b"".join(self.application.blobs.read("top", digest))
