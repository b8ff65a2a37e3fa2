"""The first page: who you are here, and how what you may see is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.application.rights import address, places
from rps.domain.tenancy import TOP
from rps.http.console.pages import page
from rps.http.console.visit import HOME, let_in, person
from rps.http.routes import route
from rps.projections.system_questions import SystemQuestions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Response

    from rps.application.configuration import Configuration
    from rps.application.rights import Place
    from rps.http.parts import Parts

PLACES_MOST = 50
"""Domains shown in full: each takes two questions."""


class Overview:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._questions = SystemQuestions(parts.application.datastore)

    @route("GET", HOME, "How it stands")
    @let_in("people")
    def get_overview(self) -> Response:
        _, account = person()
        configuration = self._application.configuration.current
        reached = places(account, configuration)
        seen = [each for each in reached if each.may("system.read")]
        systems = [
            row
            for place in seen[:PLACES_MOST]
            for row in self._systems(place, configuration)
        ]
        return page(
            "overview.html",
            name=address(account),
            places=reached,
            sees=bool(seen),
            not_shown=max(0, len(seen) - PLACES_MOST),
            systems=systems,
            queues=[row for each in seen[:PLACES_MOST] for row in self._queues(each)],
            log=self._log() if any(each.domain == TOP for each in seen) else None,
        )

    def _systems(
        self, place: Place, configuration: Configuration
    ) -> Iterator[dict[str, Any]]:
        breakers = self._questions.breakers(place.domain)
        own = [s for s in configuration.systems() if s.domain == place.domain]
        for system in sorted(own, key=lambda each: each.name):
            yield {
                "place": place.path,
                "system": system,
                "breaker": breakers.get(system.name),
            }

    def _queues(self, place: Place) -> Iterator[dict[str, Any]]:
        if not place.may("queue.read"):
            return
        for system, queues in sorted(self._questions.queued(place.domain).items()):
            for queue, statuses in queues.items():
                for status, entries in sorted(statuses.items()):
                    yield {
                        "place": place.path,
                        "system": system,
                        "queue": queue,
                        "status": status,
                        "entries": entries,
                    }

    def _log(self) -> dict[str, int]:
        head, views = self._questions.progress()
        behind = max((head - position for position in views.values()), default=0)
        return {"head": head, "behind": behind}
