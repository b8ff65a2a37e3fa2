"""The act in which two companies link their nodes, by an invitation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rps.cli.demo.company import Company
    from rps.cli.demo.scene import Scene
    from rps.cli.demo.stage import Stage

TOKEN_CHARACTERS = 20


def link(stage: Stage, scene: Scene) -> None:
    """Run before one's eyes what an operator at each side types."""
    acme, zenith = scene.companies
    stage.act(
        "Acme invites, Zenith accepts",
        "Each company runs a node of its own. One word is handed over; after that\n"
        "each knows where the other is, and how it signs.",
    )
    if acme.linked() and zenith.linked():
        acme.find_again(zenith)
        zenith.find_again(acme)
        stage.done("the two are linked since a run before this one")
    else:
        _invite(stage, acme, zenith)
    for company in scene.companies:
        _publish(stage, company)
    stage.print()
    stage.done(
        "linked: both share incident.shared, each in its own words; where both\n"
        "  change a field at once, Acme decides, which invited"
    )


def _invite(stage: Stage, acme: Company, zenith: Company) -> None:
    invite = ("system", "invite", zenith.name, "--url", acme.api, "--as", acme.name)
    token = acme.run(*invite)
    short = f"{token[:TOKEN_CHARACTERS]}…"
    stage.command(acme.name, invite, short)
    zenith.run("system", "accept", token, "--url", zenith.api)
    stage.command(zenith.name, ("system", "accept", short, "--url", zenith.api))


def _publish(stage: Stage, company: Company) -> None:
    path = company.definition()
    name = Path(path).name
    said = company.run("definition", "apply", path)
    row = said.replace(path, name).splitlines()[-1]
    shown = ("definition", "apply", name)
    stage.command(company.name, shown, " ".join(row.split()))
