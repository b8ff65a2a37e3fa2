"""Writes a definition file to begin with, from one of the shipped examples."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from rps.domain.yaml_document import line_of, read_document

PROCESSES = ("incident", "change", "case", "problem", "blank")
BLANK = """\
process_event: work.shared
fields:
  title: {type: text, max_length: 160}
  description: {type: text, policy: merge}
  state: {type: choice, values: [new, working, done]}
journals:
  comments: {visibility: public}
  work_notes: {visibility: internal}
members:
  ours:
    table: task
    fields: {title: title, description: description, state: state}
    journals: {comments: comments, work_notes: work_notes}
  theirs:
    table: task
    fields: {title: title, description: description, state: state}
    journals: {comments: comments, work_notes: work_notes}
"""
JOURNALS = {"comments": "public", "work_notes": "internal"}
WIDTH = 88
FREE_TYPES = ("text", "user", "reference")
"""What an example has for these types as default or format is of its own companies."""

_COMMENT = re.compile(r"""^[^"'#]*?\S\s+#\s(.+)$""")


class Place(NamedTuple):
    """A member: how it is called here, and which table of which system it is."""

    member: str
    system: str
    table: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What the author wants; `fields` and `journals` are names of the example's."""

    process: str
    process_event: str
    domain: str
    members: tuple[Place, Place]
    fields: tuple[str, ...]
    journals: tuple[str, ...]
    attachments: bool
    schema: str


class Example:
    """A shipped example, as data and with the remarks beside its lines."""

    def __init__(self, process: str) -> None:
        self.text = BLANK
        if process != "blank":
            self.text = files("rps.examples").joinpath(f"{process}.yaml").read_text()
        self.document: dict[str, Any] = read_document(self.text.encode())
        self._lines = self.text.splitlines()

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """Shared fields by name."""
        found: dict[str, dict[str, Any]] = self.document["fields"]
        return found

    @property
    def members(self) -> list[tuple[str, dict[str, Any]]]:
        """The two members, with what they have in common written out."""
        common = self.document.get("common", {})
        return [
            (
                name,
                {
                    **common,
                    **said,
                    "fields": {**common.get("fields", {}), **said.get("fields", {})},
                    "journals": {
                        **common.get("journals", {}),
                        **said.get("journals", {}),
                    },
                },
            )
            for name, said in self.document["members"].items()
        ]

    def places(self) -> tuple[Place, Place]:
        one, other = (
            Place(name, said.get("system", name), said["table"])
            for name, said in self.members
        )
        return one, other

    def remark(self, place: str) -> str:
        """What the example says beside the line of `place`, if it is not about its own
        companies, else ""."""
        position = line_of(self.text, place)
        line = self._lines[position.line - 1] if position else ""
        found = _COMMENT.match(line)
        said = found[1] if found else ""
        own = any(name in said.casefold() for name in self.document["members"])
        return "" if own else said


def written(choices: Choices) -> str:
    """The text of the file; it is refused by nothing that `parse` asks."""
    example = Example(choices.process)
    lines = [
        f"# yaml-language-server: $schema={choices.schema}",
        "#",
        "# What is shared between two systems, and how each of them says it.",
        "#   rps definition check FILE   what is wrong with it, line by line",
        "#   rps definition scan FILE    and what this node has to say to it",
        "#   rps definition apply FILE   puts it in force",
        "",
        "# The name both sides agree on; capitals count.",
        f"process_event: {_flow(choices.process_event)}",
    ]
    if choices.domain != "top":
        lines.append(f"domain: {_flow(choices.domain)}")
    lines += [*_shared_fields(choices, example), *_shared_journals(choices)]
    lines += ["", "members:", *_member(choices, example, 0)]
    lines += ["", *_member(choices, example, 1)]
    return "\n".join(lines) + "\n"


def _shared_fields(choices: Choices, example: Example) -> list[str]:
    lines = []
    if choices.fields:
        lines += [
            "",
            "# What both share. `policy` decides when both change a field at once: the",
            "# later change (newer_wins, if left out), its owner, both (merge), or a",
            "# person (manual). The value that loses stays in the history.",
            "fields:",
        ]
    renamed = dict(zip([n for n, _ in example.members], choices.members, strict=True))
    for name in choices.fields:
        said = dict(example.fields[name])
        if "owner" in said:
            said["owner"] = renamed[said["owner"]].member
        lines += _entry("  ", name, said, example.remark(f"/fields/{name}"))
    return lines


def _shared_journals(choices: Choices) -> list[str]:
    lines = []
    if choices.journals:
        lines += ["", "# Internal entries are never written where customers read."]
        lines.append("journals:")
        for name in choices.journals:
            lines += _entry("  ", name, {"visibility": JOURNALS[name]})
    if choices.attachments:
        lines += [
            "",
            "# Of a file that does not travel, people read in the journal.",
            "attachments:",
            f"  journal: {choices.journals[0]}",
            "  size_max: 25 MB",
            "  # extensions: [png, jpg, pdf]   # left out: all kinds",
        ]
    return lines


def _member(choices: Choices, example: Example, index: int) -> list[str]:
    place = choices.members[index]
    name, said = example.members[index]
    lines = [
        f"  {_flow(place.member)}:",
        f"    system: {_flow(place.system)}",
        f"    table: {_flow(place.table)}",
    ]
    lines += [
        f"    {key}: {_flow(said[key])}"
        for key in ("capture", "deliver", "delivery")
        if key in said
    ]
    lines += [
        '    # Which records are shared, as "Copy query" of a list filter gives it:',
        f"    # capture_when: {said.get('capture_when', 'active=true')}",
        "    # Whose changes are not taken, such as the account that writes here:",
        "    # ignore_changed_by: [rps]",
    ]
    if choices.fields:
        lines.append("    fields:   # shared name: the name in this table")
        for field in choices.fields:
            mapped = _map_of(said["fields"][field], example.fields[field]["type"])
            remark = example.remark(f"/members/{name}/fields/{field}")
            lines += _entry("      ", field, mapped, remark)
    if choices.journals:
        lines.append("    journals:")
        for journal in choices.journals:
            mapped = said["journals"].get(journal, journal)
            lines += _entry("      ", journal, mapped)
    return lines


def _map_of(said: Any, kind: str) -> Any:
    """Without what only fits the example's own companies."""
    if not isinstance(said, dict) or kind not in FREE_TYPES:
        return said
    kept = {
        key: value for key, value in said.items() if key not in ("default", "format")
    }
    return kept["field"] if list(kept) == ["field"] else kept


def _entry(indent: str, name: str, said: Any, remark: str = "") -> list[str]:
    """On one line where it fits, its longest part on lines of their own if not."""
    beside = f"   # {remark}" if remark else ""
    line = f"{indent}{_flow(name)}: {_flow(said)}"
    if len(line) <= WIDTH or not isinstance(said, dict):
        return [line + beside]
    lines = [f"{indent}{_flow(name)}:{beside}"]
    for key, value in said.items():
        lines += _entry(indent + "  ", key, value)
    return lines


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()
