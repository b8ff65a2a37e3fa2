"""Process sync definitions: drafted, published, retired, revision by revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from rps.application.operations import NotFound
from rps.domain.document import parse
from rps.domain.document_schema import MEDIA_TYPE, schema
from rps.domain.name_scan import SCHEMA_NAME
from rps.domain.problem import DefinitionRefused, Problem
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.http import json_body
from rps.http.access import principal
from rps.http.answers import answer, of
from rps.http.inputs import Reason, body, decoded, precondition
from rps.http.routes import CONFIGURERS, READERS, allowed, public, route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Response

    from rps.domain.agreement import Definition
    from rps.http.parts import Parts

REVISION = "<int(min=1,max=2147483647):revision>"
LIMITS = json_body.Limits(nodes=20_000)
DOCUMENT: Mapping[str, Any] = {
    "type": "object",
    "description": "the definition document; docs/examples has one with comments",
}


class Definitions:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._clock = parts.clock

    @route("GET", "/definitions", "All definitions of the domain", answer="Definitions")
    @allowed(*READERS)
    def list_definitions(self) -> Response:
        own = [
            definition
            for definition in self._application.configuration.current.definitions()
            if definition.domain == principal().domain
        ]
        own.sort(key=lambda definition: definition.process_event)
        return answer({"definitions": [_summary(definition) for definition in own]})

    @route(
        "GET",
        f"/definitions/{SCHEMA_NAME}",
        "The JSON Schema of definition documents, for editors",
        answer="",
        media_type=MEDIA_TYPE,
    )
    @public
    def get_schema(self) -> Response:
        made = answer(schema())
        made.content_type = MEDIA_TYPE
        return made

    @route(
        "GET",
        "/definitions/<process_event>",
        "The draft, and what is in force",
        answer="Definition",
    )
    @allowed(*READERS)
    def get_definition(self, process_event: str) -> Response:
        return _shown(self._found(process_event))

    @route(
        "PUT",
        "/definitions/<process_event>",
        "Keep a document as the draft; nothing changes until it is published",
        body=DOCUMENT,
        answer="Definition",
        headers=("If-Match", "If-None-Match"),
    )
    @allowed(*CONFIGURERS)
    def put_definition(self, process_event: str) -> Response:
        who, now = principal(), self._clock()
        definition = document_of(decoded(LIMITS), process_event, who.domain)
        key = ProcessSyncDefinition.id_of(who.domain, process_event)
        if self._application.find(ProcessSyncDefinition, key) is None:
            precondition(None)
            made = self._application.draft_definition(
                definition.to_document(), who.account, now
            )
            return _shown(made, 201)

        def draft(aggregate: ProcessSyncDefinition) -> None:
            precondition(aggregate)
            aggregate.draft(definition, who.account, now)

        return _shown(self._application.change(ProcessSyncDefinition, key, draft))

    @route(
        "POST",
        "/definitions/<process_event>/publish",
        "Put the draft in force",
        answer="Definition",
        headers=("If-Match",),
    )
    @allowed(*CONFIGURERS)
    def publish_definition(self, process_event: str) -> Response:
        aggregate = self._found(process_event)
        precondition(aggregate)
        return _shown(
            self._application.publish_definition(
                aggregate, principal().account, self._clock()
            )
        )

    @route(
        "POST",
        "/definitions/<process_event>/retire",
        "Capture nothing under it any more; what waits is still delivered",
        body=Reason(),
        answer="Definition",
        headers=("If-Match",),
    )
    @allowed(*CONFIGURERS)
    def retire_definition(self, process_event: str) -> Response:
        reason = body(Reason())["reason"]
        who, now = principal(), self._clock()

        def retire(aggregate: ProcessSyncDefinition) -> None:
            precondition(aggregate)
            aggregate.retire(reason, who.account, now)

        key = self._found(process_event).id
        return _shown(self._application.change(ProcessSyncDefinition, key, retire))

    @route(
        "GET",
        f"/definitions/<process_event>/revisions/{REVISION}",
        "The document of a published revision",
        answer="Revision",
    )
    @allowed(*READERS)
    def get_revision(self, process_event: str, revision: int) -> Response:
        key = self._found(process_event).id
        revisions = self._application.configuration.current.revisions.get(key, {})
        if revision not in revisions:
            raise NotFound(f"no revision {revision}")
        document = revisions[revision].to_document()
        return answer({"revision": revision, "document": document})

    def _found(self, process_event: str) -> ProcessSyncDefinition:
        key = ProcessSyncDefinition.id_of(principal().domain, process_event)
        found = self._application.find(ProcessSyncDefinition, key)
        if found is None:
            raise NotFound(f"no definition {process_event!r}")
        return found


def document_of(posted: Any, process_event: str, domain: str) -> Definition:
    """The definition `posted` describes; name and domain may be left to the URL and
    the account, and must not contradict them. Raises DefinitionRefused."""
    if not isinstance(posted, dict):
        raise ValidationError(["give a definition document"])
    definition = parse({"process_event": process_event, "domain": domain, **posted})
    problems = []
    if definition.process_event != process_event:
        cause = "the document is of another process event than the address"
        remedy = f"write '{process_event}', or leave it out"
        problems.append(Problem("other-name", "/process_event", cause, remedy))
    if definition.domain != domain:
        cause = "the document is of another domain than the account"
        remedy = f"write '{domain}', or leave it out"
        problems.append(Problem("other-domain", "/domain", cause, remedy))
    if problems:
        raise DefinitionRefused(tuple(problems))
    return definition


def _state(aggregate: ProcessSyncDefinition) -> str:
    if aggregate.retired:
        return "retired"
    return "draft" if aggregate.published is None else "published"


def _summary(aggregate: ProcessSyncDefinition) -> dict[str, Any]:
    return {
        "process_event": aggregate.process_event,
        "domain": aggregate.domain,
        "state": _state(aggregate),
        "revision": aggregate.revision,
        "unpublished": aggregate.document != aggregate.published,
        "version": aggregate.version,
        "changed_at": aggregate.modified_on,
    }


def _shown(aggregate: ProcessSyncDefinition, status: int = 200) -> Response:
    documents = {"document": aggregate.document, "published": aggregate.published}
    return of(aggregate, {**_summary(aggregate), **documents}, status)
