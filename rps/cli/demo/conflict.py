"""The act in which a person decides a conflict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.cli.demo.waiting import wait_until

if TYPE_CHECKING:
    from rps.cli.demo.company import Company
    from rps.cli.demo.journeys import Journey
    from rps.cli.demo.story import Story

OPEN = """
SELECT "position" AS number, mine #>> '{}' AS mine FROM conflicts
WHERE correlation_id = %(correlation_id)s AND state = 'open' AND field = 'title'
"""


def decide(story: Story, shared: Journey) -> None:
    """Both retitled the ticket; Acme's definition leaves that to a person."""
    acme, zenith, stage = story.acme, story.zenith, story.stage
    stage.act(
        "Both changed the title: a person decides",
        "All else of the ticket merged by itself. The title's policy is `manual`, so\n"
        "it is held back, it alone, until somebody says which it is to be.",
    )
    copy = zenith.ticket_of(shared.correlation_id)
    found: list[tuple[Company, str, str]] = []

    def opened() -> bool:
        """At whose node the two titles met depends on who was faster."""
        for company in story.scene.companies:
            of_it = {"correlation_id": shared.correlation_id}
            for row in company.session.ask(OPEN, of_it):
                keep = "mine" if row["mine"] == theirs else "theirs"
                found.append((company, str(row["number"]), keep))
        return bool(found)

    theirs = zenith.desk.ticket(copy).title
    wait_until(opened, "the conflict is open", story.processes)
    company, number, keep = found[0]
    show = ("conflict", "show", number)
    stage.command(company.name, show, company.run(*show))
    story.rest()
    reason = "Zenith knows the cause"
    resolve = ("conflict", "resolve", number, "--keep", keep, "--reason", reason)
    company.run(*resolve)
    stage.command(company.name, resolve)

    def titles() -> tuple[str, str]:
        ours = acme.desk.ticket(shared.record_id).title
        return ours, zenith.desk.ticket(copy).title

    wait_until(lambda: len(set(titles())) == 1, "both sides agree", story.processes)
    stage.print()
    stage.done(f'both sides now say "{titles()[0]}"; the other is in the history')
    story.rest()
