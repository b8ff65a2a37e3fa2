"""Ctrl-C and SIGTERM, at any moment, which are not lost.

What a signal handler raises is printed and dropped where it strikes in a destructor,
or a callback of the interpreter: the demo would go on as if nobody had said anything.
So it is noted, too, and raised again at the next look.
"""

from __future__ import annotations

import signal
from typing import NoReturn

TERMINATED = 128 + signal.SIGTERM


class Interrupts:
    """From now on, those of this process."""

    def __init__(self) -> None:
        self._came: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def look(self) -> None:
        """Raises KeyboardInterrupt, or SystemExit, if one came."""
        if self._came is not None:
            self._take(self._came)

    def ignore(self) -> None:
        """The end is under way: nothing may come between."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _take(self, number: int, *_: object) -> NoReturn:
        self._came = number
        if number == signal.SIGTERM:
            raise SystemExit(TERMINATED)
        raise KeyboardInterrupt
