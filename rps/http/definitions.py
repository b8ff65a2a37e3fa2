"""Process sync definitions: drafted, published, rolled back, retired."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields, validate

from rps.application.definition_scan import DefinitionScan, drafted
from rps.application.operations import NotFound
from rps.domain.document import parse
from rps.domain.document_schema import MEDIA_TYPE, schema
from rps.domain.name_scan import SCHEMA_NAME
from rps.domain.problem import DefinitionRefused, Problem
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.yaml_document import definition_in, text_of
from rps.http import json_body
from rps.http.access import principal
from rps.http.answers import answer, of
from rps.http.inputs import (
    Reason,
    Shape,
    body,
    decoded,
    has_body,
    is_called,
    precondition,
    query,
    raw_body,
)
from rps.http.routes import CONFIGURERS, OPERATORS, READERS, allowed, public, route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Response

    from rps.domain.agreement import Definition
    from rps.http.parts import Parts

REVISION = "<int(min=1,max=2147483647):revision>"
REVISION_MAX = 2**31 - 1
YAML = "application/yaml"
LIMITS = json_body.Limits(nodes=20_000)
DOCUMENT: Mapping[str, Any] = {
    "type": "object",
    "description": "the definition document; docs/examples has one with comments",
}


class HowToScan(Shape):
    reach = fields.Boolean(load_default=False)


class RollBack(Reason):
    revision = fields.Integer(strict=True, validate=validate.Range(1, REVISION_MAX))


class Definitions:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._clock = parts.clock
        self._scan = DefinitionScan(parts.application, parts.connectors)

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
        or_status=201,
        body=DOCUMENT,
        answer="Definition",
        also_takes=(YAML,),
        headers=("If-Match", "If-None-Match"),
    )
    @allowed(*CONFIGURERS)
    def put_definition(self, process_event: str) -> Response:
        who, now = principal(), self._clock()
        definition, source = posted_definition(process_event, who.domain)
        key = ProcessSyncDefinition.id_of(who.domain, process_event)
        if self._application.find(ProcessSyncDefinition, key) is None:
            precondition(None)
            made = self._application.draft_definition(
                definition.to_document(), who.account, now, source
            )
            return _shown(made, 201)

        def draft(aggregate: ProcessSyncDefinition) -> None:
            precondition(aggregate)
            aggregate.draft(definition, who.account, now, source)

        return _shown(self._application.change(ProcessSyncDefinition, key, draft))

    @route(
        "POST",
        "/definitions/<process_event>/scan",
        "All that is wrong with the draft, or with the document posted, and what gives"
        " reason to warn; with ?reach=true its systems are asked as well",
        body=DOCUMENT,
        query=HowToScan(),
        answer="Scan",
        also_takes=(YAML,),
    )
    @allowed(*OPERATORS)
    def scan_definition(self, process_event: str) -> Response:
        reach, who = query(HowToScan())["reach"], principal()
        if has_body():
            read = partial(posted_definition, process_event, who.domain)
        else:
            read = partial(drafted, self._found(process_event))
        scanned = self._scan.scan(read, self._clock(), reach=reach)
        return answer(asdict(scanned))

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
        "/definitions/<process_event>/rollback",
        "Put an earlier revision in force again, as the next one: the one before, if"
        " none is named",
        body=RollBack(),
        answer="Definition",
        headers=("If-Match",),
    )
    @allowed(*CONFIGURERS)
    def roll_back_definition(self, process_event: str) -> Response:
        asked = body(RollBack())
        aggregate = self._found(process_event)
        precondition(aggregate)
        return _shown(
            self._application.roll_back_definition(
                aggregate,
                asked.get("revision"),
                asked["reason"],
                principal().account,
                self._clock(),
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
        "/definitions/<process_event>/revisions",
        "What was put in force, rolled back and retired, when and by whom",
        answer="Revisions",
    )
    @allowed(*READERS)
    def list_revisions(self, process_event: str) -> Response:
        story = self._application.definition_story(self._found(process_event).id)
        return answer({"revisions": [asdict(step) for step in story.steps]})

    @route(
        "GET",
        f"/definitions/<process_event>/revisions/{REVISION}",
        "The document of a published revision, and the text it was written as",
        answer="Revision",
    )
    @allowed(*READERS)
    def get_revision(self, process_event: str, revision: int) -> Response:
        story = self._application.definition_story(self._found(process_event).id)
        if revision not in story.revisions:
            raise NotFound(f"no revision {revision}")
        return answer(
            {
                "revision": revision,
                "document": story.revision(revision).document,
                "source": story.source(revision),
            }
        )

    def _found(self, process_event: str) -> ProcessSyncDefinition:
        key = ProcessSyncDefinition.id_of(principal().domain, process_event)
        found = self._application.find(ProcessSyncDefinition, key)
        if found is None:
            raise NotFound(f"no definition {process_event!r}")
        return found


def posted_definition(process_event: str, domain: str) -> tuple[Definition, str]:
    """The definition of the body, JSON or YAML, and the text it is written as (of YAML
    alone). Raises DefinitionRefused, with line and column where there are some."""

    def read(document: object) -> Definition:
        return document_of(document, process_event, domain)

    if is_called(YAML):
        written = raw_body()
        return definition_in(written, read), text_of(written)
    posted = decoded(LIMITS)
    if not isinstance(posted, dict):
        raise ValidationError(["give a definition document"])
    return read(posted), ""


def document_of(document: object, process_event: str, domain: str) -> Definition:
    """The definition that the document describes; name and domain may be left to the
    URL and the account, and must not contradict them. Raises DefinitionRefused."""
    definition = parse(_beside(document, process_event, domain))
    _agrees(definition, process_event, domain)
    return definition


def _beside(posted: object, process_event: str, domain: str) -> object:
    """Name and domain may be left to the URL and the account."""
    left = {"process_event": process_event, "domain": domain}
    return {**left, **posted} if isinstance(posted, dict) else posted


def _agrees(definition: Definition, process_event: str, domain: str) -> None:
    """Raise DefinitionRefused where it contradicts the URL or the account."""
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
    documents = {
        "document": aggregate.document,
        "source": aggregate.source,
        "published": aggregate.published,
    }
    return of(aggregate, {**_summary(aggregate), **documents}, status)
