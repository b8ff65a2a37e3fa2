"""rps connector test: the conformance suite against a live system."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from rps.cli.described import described, given_settings
from rps.cli.servicenow import login_options, of_options
from rps.cli.terminal import Failure, output_option, show_json
from rps.cli.trust import authorities_in, ca_option
from rps.config import Config
from rps.connectors.addresses import url_refusal
from rps.connectors.conformance import suite, systems
from rps.connectors.conformance.tried import Sample
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.reading import chosen
from rps.connectors.servicenow.connector import SERVICENOW
from rps.connectors.signature import SecretUnusable
from rps.connectors.transport import Transport
from rps.domain.delivery import Capabilities
from rps.domain.problem import DefinitionRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from rps.connectors.conformance.results import Result
    from rps.connectors.conformance.tried import Tried

PUSH = "push"
WORDS = {True: "passed", False: "FAILED", None: "does not apply"}
_TITLE = "rps conformance"
SAMPLES = {
    SERVICENOW: Sample(
        *("incident", {"short_description": _TITLE}, "short_description", "comments")
    ),
    PUSH: Sample(
        *("ticket", {"title": _TITLE}, "title", "comments"),
        no_files=systems.NO_NODE,
    ),
}
"""What is made where nothing else is said."""
_SAMPLE = (
    click.option("--table", help="ServiceNow, push: where a record is made."),
    click.option("--field", help="ServiceNow, push: its text that is changed."),
    click.option("--journal", help='ServiceNow, push: where it comments; "": nowhere.'),
    click.option(
        "--value",
        "values",
        multiple=True,
        metavar="FIELD=VALUE",
        help="ServiceNow, push: what a new record has to have besides; repeatable.",
    ),
)
_PUSH = (
    click.option("--no-dedupe", is_flag=True, help="Push: as in rps system add."),
    click.option("--no-conditional-write", is_flag=True, help="Push: the same."),
    click.option("--no-read-back", is_flag=True, help="Push: the same."),
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((*_SAMPLE, *_PUSH)):
        command = option(command)
    return command


@click.command()
@click.argument("source", metavar="FILE|PRESET|servicenow|push")
@click.option("--url", required=True, help="Where the system is.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Of a description: one of its settings; repeatable.",
)
@click.option(
    "--secret-file",
    type=click.File("r"),
    help="Of a description: its password, token or key. Push: its whsec_… secret.",
)
@login_options
@_options
@ca_option
@output_option
def test(
    *,
    source: str,
    url: str,
    ca: Path | None,
    output: str,
    **given: Any,
) -> None:
    """Run the conformance suite against a live system.

    It is spoken to by the description in FILE or a PRESET, as a ServiceNow instance, or
    as a receiver of the push connector. It makes some records there and leaves them:
    take a project or an instance for tests. Exit 1 where a case failed.
    """
    if refusal := url_refusal(url):
        raise click.BadParameter(refusal, param_hint="--url")
    _only_of(source, given)
    pem = authorities_in(ca, url, datetime.now(UTC))
    transport = Transport.of(Config.from_environ()).trusting(pem)
    makes = {SERVICENOW: _instance, PUSH: _receiver}.get(source)
    if makes is None:
        tried = _described(transport, url, source, given)
    else:
        tried = makes(transport, url, given)
    results = []
    for result in suite.run(tried):
        results.append(result)
        if output != "json":
            _tell(result)
    failed = sum(result.passed is False for result in results)
    if output == "json":
        show_json({"results": [asdict(each) for each in results]})
    if failed:
        raise Failure(f"{failed} of {len(results)} cases failed")


_OF_DESCRIPTIONS = ("pairs", "secret_file")
_OF_RECEIVERS = ("secret_file", "no_dedupe", "no_conditional_write", "no_read_back")
_OF_SAMPLES = ("table", "field", "journal", "values")


def _only_of(source: str, given: dict[str, Any]) -> None:
    """Raises UsageError for an option of another kind of system."""
    others = {*_OF_DESCRIPTIONS, *_OF_RECEIVERS, *_OF_SAMPLES}
    wanted = {
        SERVICENOW: given.keys() - others | set(_OF_SAMPLES),
        PUSH: {*_OF_RECEIVERS, *_OF_SAMPLES},
    }.get(source, set(_OF_DESCRIPTIONS))
    named = {"pairs": "set", "values": "value", "display_values": "display-value"}
    for option in sorted(given.keys() - wanted):
        if given[option] not in (None, (), False):
            name = named.get(option, option).replace("_", "-")
            raise click.UsageError(f"--{name} is of no use with {source}")


def _described(
    transport: Transport, url: str, source: str, given: dict[str, Any]
) -> Tried:
    _, description = described(source)
    if description.sample is None:
        raise Failure(f"{source} has no 'sample': it says which record a test may make")
    try:
        settings = chosen(description, given_settings(given["pairs"]))
    except DefinitionRefused as refused:
        raise Failure("; ".join(p.cause for p in refused.problems)) from refused
    secret = _read(given["secret_file"])
    return systems.described(transport, Placed(description, url, settings, secret))


def _instance(transport: Transport, url: str, given: dict[str, Any]) -> Tried:
    own = {k: v for k, v in given.items() if k not in (*_OF_SAMPLES, *_OF_RECEIVERS)}
    own.pop("pairs")
    settings, secret = of_options(url, [], own, None)
    sample = _sample(SAMPLES[SERVICENOW], given)
    return systems.instance(transport, settings, secret or "", sample)


def _receiver(transport: Transport, url: str, given: dict[str, Any]) -> Tried:
    able = Capabilities(
        dedupe=not given["no_dedupe"],
        conditional_write=not given["no_conditional_write"],
        read_back=not given["no_read_back"],
    )
    sample = _sample(SAMPLES[PUSH], given)
    try:
        return systems.receiver(
            *(transport, url, _read(given["secret_file"]), able, sample)
        )
    except SecretUnusable as unusable:
        raise click.BadParameter(str(unusable), param_hint="--secret-file") from None


def _sample(usual: Sample, given: dict[str, Any]) -> Sample:
    table, name = given["table"] or usual.table, given["field"] or usual.field
    journal = usual.journal if given["journal"] is None else given["journal"]
    fields = {name: _TITLE, **given_settings(given["values"], "--value")}
    return replace(usual, table=table, fields=fields, field=name, journal=journal)


def _read(file: TextIO | None) -> str:
    return file.read().strip() if file else ""


def _tell(result: Result) -> None:
    words = f"{WORDS[result.passed]:15} {result.case}"
    click.echo(words + (f": {result.says}" if result.says else ""))
