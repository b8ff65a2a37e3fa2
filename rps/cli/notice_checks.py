"""What `rps doctor` looks at where people are to be told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rps.cli.findings import Finding
from rps.cli.notify import channels_of, subscriptions_of
from rps.connectors.announcing import ChannelUnusable
from rps.projections.notice_questions import NOTHING, NoticeQuestions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.cli.session import Session

ATTEMPTS_MANY = 3
RECENT = timedelta(days=7)


def notifications(session: Session) -> Iterator[Finding]:
    standing = NoticeQuestions(session.application.datastore).standing()
    channels = channels_of(session)
    for each in subscriptions_of(session):
        named = f"{each.name} ({each.domain})"
        trying = f"rps notify test {each.name} --domain {each.domain}"
        try:
            channels.channel(each)
        except ChannelUnusable as error:
            yield Finding(
                "error",
                "notifications",
                f"{named} cannot be told: {error}",
                f"Mend that; then {trying}",
            )
        how = standing.get(each.id) or NOTHING
        if how["failed"] and how["last_at"] > session.now - RECENT:
            yield Finding(
                "error",
                "notifications",
                f"{how['failed']} notice(s) for {named} were given up: {how['detail']}",
                f"Mend the receiver, then {trying}; rps notify notices shows them.",
            )
        elif how["attempts"] >= ATTEMPTS_MANY:
            yield Finding(
                "warning",
                "notifications",
                f"{named} was not reached in {how['attempts']} attempts: "
                f"{how['detail']}",
                f"Mend the receiver; it is tried again by itself. {trying}",
            )
