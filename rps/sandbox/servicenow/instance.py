"""One instance: its parts, on one database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rps.sandbox.database import Database
from rps.sandbox.files import Files
from rps.sandbox.servicenow.access import Access
from rps.sandbox.servicenow.behaviour import Behaviour
from rps.sandbox.servicenow.clock import Clock
from rps.sandbox.servicenow.faults import Faults
from rps.sandbox.servicenow.people import People
from rps.sandbox.servicenow.rates import Rates
from rps.sandbox.servicenow.records import SCHEMA, Records
from rps.sandbox.servicenow.seed import sow
from rps.sandbox.servicenow.tables import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.sandbox.servicenow.access import Actor
    from rps.sandbox.servicenow.settings import InstanceSettings


class Instance:
    """`behaviour` may be replaced at any time."""

    def __init__(self, settings: InstanceSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.database = Database(settings.database, schema() + SCHEMA)
        self.files = Files(settings.database.with_suffix(".files"))
        self.behaviour = Behaviour(rates=settings.rates)
        self.faults = Faults()
        self.rates = Rates()
        self.people = People(self.database, self.clock.unskewed)
        with self.database.transaction() as connection:
            sow(connection, settings, self.clock.text())

    def access(self, actor: Actor) -> Access:
        """The user's rights, as they are now."""
        return Access(actor, self.behaviour.field_roles)

    @contextmanager
    def records(self, actor: Actor) -> Iterator[Records]:
        """The records as the user may see and write them, in one transaction."""
        behaviour = self.behaviour
        with self.database.transaction() as connection:
            yield Records(
                connection, self.access(actor), self.clock.text(), behaviour.policies
            )
