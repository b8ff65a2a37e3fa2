"""What `rps doctor` looks at where the audit has to prove itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rps.application.checkpoints import EVENTS, EVERY, Checkpoints
from rps.application.neighbour_logs import NeighbourLogs
from rps.cli.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.cli.session import Session

LATE = EVERY + timedelta(minutes=30)


def checkpoints(session: Session) -> Iterator[Finding]:
    """The last one is not long ago, and no linked node contradicts what it showed."""
    made = Checkpoints(session.application)
    standing = made.standing()
    behind = standing.head - standing.size
    if standing.made_at is None:
        is_late = behind > EVENTS
    else:
        is_late = behind != 0 and session.now - standing.made_at > LATE
    if is_late:
        yield Finding(
            "error",
            "checkpoints",
            f"the last checkpoint covers {standing.size} of {standing.head} events",
            "Does a sweeper run (rps work)? If it does, it refuses to sign, and its log"
            " says why: rps audit verify",
        )
    for seen in NeighbourLogs(session.application.datastore, made).standing():
        if seen["refused"]:
            name, domain = seen["system"], seen["domain"]
            yield Finding(
                "error",
                "checkpoints",
                f"the log of {name} ({domain}) is not what it was: {seen['detail']}",
                f"Ask them what happened. rps audit witness seen {name} shows what they"
                f" showed; rps audit witness reset {name} takes their log as it is.",
            )
