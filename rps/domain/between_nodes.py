"""What is different about a change that another node sent.

Of two linked nodes one decides where both changed a field: the one that invited. To it
the other one is a remote system like any, which reports its changes and is written to
for the version it is known to be at. The other one takes such a write as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rps.domain.events import ChangeCaptured
    from rps.domain.state import CorrelationState

NODE = "node"
"""The source of changes that another node sent."""

ELSEWHERE, MOVED_ON = "elsewhere", "moved on"
"""How reasons begin for which such a change is ignored and its node has to know."""


def objection(state: CorrelationState, captured: ChangeCaptured) -> str:
    """Why a node's change is not judged, else "".

    A record comes to a node one way only: by as many as there are, nodes would form a
    ring, in which nobody decides. Nor is it deleted by a node that it was not taken
    from. And what was decided about another version of it has to be decided again.
    """
    if captured.source != NODE:
        return ""
    link = state.links.get(captured.member)
    is_new = link is None or link.record_id is None
    is_offer = captured.operation in ("create", "delete") and captured.if_match is None
    if is_offer and state.opened and is_new:
        return f"{ELSEWHERE}: this record came here another way"
    here = str(state.shared_version)
    if captured.if_match not in (None, here):
        return f"{MOVED_ON}: made for version {captured.if_match}, here it is {here}"
    return ""


def is_judged_at_once(captured: ChangeCaptured) -> bool:
    """Whether it may be judged while its member is written to. Else that is settled
    first; but nodes that waited for each other's judgement would wait for ever."""
    if captured.if_match is not None:
        return True
    return captured.source == NODE and captured.operation == "create"
