"""Carries out one action in a process of its own: `python -m rps.acting`.

Reads `{"action", "with", "megabytes", "seconds"}` from standard input and writes
`{"values"}` or `{"error"}` to standard output. What the action itself prints goes
nowhere. It imports nothing of rps, so that it starts fast and an action has nothing to
hold on to.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import sys
import typing
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

GROUP = "rps.actions"
RESULT = "result"
KINDS: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    list: (list,),
    dict: (dict,),
}
SHOWN_MAX = 300
_SCALARS = (str, int, float, bool, type(None))


class Failed(Exception):
    """There will be no answer; its text says why."""


def main() -> None:
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    asked = json.load(sys.stdin)
    name = asked["action"]
    try:
        action = _action(name)
        arguments = _bound(action, name, asked["with"])
        _limit(asked["megabytes"], asked["seconds"])
        answer: dict[str, Any] = {"values": _values(action(**arguments), name)}
        said = json.dumps(answer, allow_nan=False)
    except Failed as failed:
        said = json.dumps({"error": str(failed)})
    except MemoryError:
        error = f"{name} needs more than {asked['megabytes']} MB of memory"
        said = json.dumps({"error": error})
    except Exception as error:  # noqa: BLE001 - whatever an action does is told
        said = json.dumps({"error": f"{name} raised {_shown(error)}"})
    os.write(answers, said.encode())


def _shown(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text[:SHOWN_MAX]


def _action(name: str) -> Any:
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:  # noqa: BLE001 - told to the operator
                raise Failed(f"{name} cannot be loaded: {_shown(error)}") from None
    known = ", ".join(sorted(entry.name for entry in entry_points(group=GROUP)))
    raise Failed(f"there is no action {name!r} here; installed: {known or 'none'}")


def _bound(action: Any, name: str, given: dict[str, Any]) -> dict[str, Any]:
    signature = inspect.signature(action)
    try:
        signature.bind(**given)
    except TypeError as error:
        raise Failed(f"{name}{signature}: {error}") from None
    for key, hint in _hints(action).items():
        if key in given and not _fits(given[key], hint):
            kind = type(given[key]).__name__
            raise Failed(f"{name}{signature}: {key} is given as {kind}")
    return given


def _hints(action: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(action)
    except Exception:  # noqa: BLE001 - types are a help, not a duty
        return {}


def _fits(value: Any, hint: Any) -> bool:
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    return any(_is(value, each) for each in options)


def _is_union(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return origin is typing.Union or getattr(origin, "__name__", "") == "UnionType"


def _is(value: Any, kind: Any) -> bool:
    if kind is type(None):
        return value is None
    kinds = KINDS.get(typing.get_origin(kind) or kind)
    if kinds is None:
        return True  # a type of its own: the action looks for itself
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _limit(megabytes: int, seconds: int) -> None:
    """Its data may grow by so much; the parent looks at the clock."""
    taken = int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf(
        "SC_PAGESIZE"
    )
    most = taken + megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 3))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _values(answer: Any, name: str) -> dict[str, Any]:
    values = answer if isinstance(answer, dict) else {RESULT: answer}
    for key, value in values.items():
        if not (isinstance(key, str) and _is_value(value)):
            kind = type(value).__name__
            raise Failed(
                f"{name} answered {key!r} with a {kind}; give texts, numbers, true,"
                " false, None or lists of texts"
            )
    return values


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, _SCALARS)


if __name__ == "__main__":
    main()
