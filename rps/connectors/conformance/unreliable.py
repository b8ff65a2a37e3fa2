"""A way to a system on which things go wrong when they are wanted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rps.connectors.transport import Answer, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rps.connectors.streaming import Opened
    from rps.connectors.transport import Request, Said

PAUSE_SECONDS = 7


class Wire(Protocol):
    """All that connectors need of the transport."""

    def send(self, request: Request) -> Said: ...

    def send_many(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[int, Said]]]: ...

    def stream(self, request: Request) -> Said | Opened: ...

    def upload(
        self, request: Request, size: int, pieces: Callable[[], Iterator[bytes]]
    ) -> Said: ...


class Unreliable:
    """Answers to writes get lost, or requests are turned away, so many from now on."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.loses = 0
        self.throttles = 0

    def send(self, request: Request) -> Said:
        return self._on_the_way(request, lambda: self._wire.send(request))

    def send_many(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[int, Said]]]:
        for place, request in enumerate(requests):
            yield [(place, self.send(request))]

    def stream(self, request: Request) -> Said | Opened:
        return self._wire.stream(request)

    def upload(
        self, request: Request, size: int, pieces: Callable[[], Iterator[bytes]]
    ) -> Said:
        return self._on_the_way(
            request, lambda: self._wire.upload(request, size, pieces)
        )

    def _on_the_way(self, request: Request, send: Callable[[], Said]) -> Said:
        if self.throttles:
            self.throttles -= 1
            return Answer(429, {"Retry-After": str(PAUSE_SECONDS)}, b"", 0.0)
        came = send()
        if self.loses and request.method not in ("GET", "HEAD"):
            self.loses -= 1
            return NoAnswer("the answer was lost, for a test")
        return came
