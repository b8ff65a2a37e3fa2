"""Files that a member was known to hold, and that its record does not have any more.

Systems that are polled show what there is, never what there was: what is missing is
found by asking for all files of a record that the log knows files of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rps.domain.correlation import Correlation
from rps.domain.delivery import Unavailable

if TYPE_CHECKING:
    from rps.application import RemoteProcessSync
    from rps.domain.delivery import Connector, FilesListed, Shown
    from rps.domain.remote_system import RemoteSystem
    from rps.domain.uses import Uses


class RemovedFiles:
    def __init__(self, application: RemoteProcessSync) -> None:
        self._application = application

    def beside(
        self,
        system: RemoteSystem,
        table: str,
        shown: Shown,
        uses: Uses,
        connector: Connector,
    ) -> Shown | Unavailable:
        """With the files that are gone, where a definition passes that on."""
        lists = getattr(connector, "files_of", None)
        record = shown.record
        tells = record.revision is not None or record.fields
        if lists is None or record.deleted or not tells:
            return shown
        if not any(terms.deletion for terms in uses.files):
            return shown
        # What is known before the record's files are listed is there, or is gone.
        held = self._held(system, table, record.record_id)
        if not held or (shown.files is not None and held.keys() <= shown.files):
            return shown
        listed: FilesListed = lists(table, record.record_id)
        if isinstance(listed, Unavailable):
            return listed
        if not isinstance(listed, Mapping):
            return shown  # nobody can say what is not there
        gone = removed(missing(held, listed))
        return replace(shown, attachments=(*shown.attachments, *gone))

    def _held(self, system: RemoteSystem, table: str, record_id: str) -> dict[str, str]:
        """Names of the files, by the ids that they have there."""
        key = (system.domain, system.name, table)
        routes = self._application.configuration.current.routes.get(key, ())
        asked = [(r.definition_id, r.member.name, record_id) for r in routes]
        held: dict[str, str] = {}
        linked = self._application.lookup.linked(system.domain, asked)
        for (_, member, _), correlation_id in linked:
            found = self._application.find(Correlation, correlation_id)
            if found is not None:
                held |= held_files(found, member)
        return held


def missing(held: Mapping[str, str], listed: Mapping[str, str]) -> dict[str, str]:
    """Those that are not listed: names by id. What is listed by the same name under
    another id may be the content that replaced it."""
    names = set(listed.values())
    return {
        file_id: name
        for file_id, name in held.items()
        if file_id not in listed and name not in names
    }


def removed(gone: Mapping[str, str]) -> list[dict[str, Any]]:
    """As a posted change tells of them."""
    return [{"id": key, "name": name, "deleted": True} for key, name in gone.items()]


def held_files(correlation: Correlation, member: str) -> dict[str, str]:
    """Those that the member is known to hold, and no message is about to change: their
    names by its own ids, as far as those are known."""
    coming = {
        each["id"]
        for pending in correlation.pending.to(member)
        for each in pending.attachments
    }
    held = {}
    for key, file in correlation.attached.items():
        own = key.removeprefix(f"{member}:") if key.startswith(f"{member}:") else ""
        own = file.known_as.get(member, own)
        if own and not file.deleted and file.held.get(member) and key not in coming:
            held[own] = file.shown["name"]
    return held
