"""What-if over a log: recorded changes judged again under another definition."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import orjson

from bench.outcome import Outcome
from bench.seeds import log_of
from bench.workload import DEFINITION, TARGET

if TYPE_CHECKING:
    from bench.deployment import Deployment
    from bench.outcome import Size

DIFFERENT = 5
NAME = str(DEFINITION["process_event"])


def what_if(run: Deployment, _: Size, *, events: int, differs: bool) -> Outcome:
    """Changes a second by the whole command, its start included. `differs`: under a
    draft in which every message would have been another one."""
    with run.fresh(log_of(run, events)) as dsn, TemporaryDirectory() as folder:
        file = Path(folder) / "draft.json"
        file.write_bytes(orjson.dumps(_draft(differs=differs)))
        before, start = run.server_seconds(), time.monotonic()
        used = _used_seconds()
        said = run.rps(
            *(dsn, "definition", "what-if", NAME, "--file", str(file), "-o", "json"),
            code=DIFFERENT if differs else 0,
        )
        seconds, used = time.monotonic() - start, _used_seconds() - used
        server = run.server_seconds() - before
    found = orjson.loads(said)
    judged = found["judged"]
    wanted = judged if differs else 0
    faults = []
    if found["different"] != wanted:
        faults.append(f"{found['different']} of {judged} differ, not {wanted}")
    return Outcome(
        {
            "per_second": judged / seconds,
            "seconds": seconds,
            "changes": judged,
            "cpu_us": used * 1e6 / judged,
            "postgres_us": server * 1e6 / judged,
        },
        faults,
    )


def _used_seconds() -> float:
    """Processor time of the commands that were run to their end."""
    times = os.times()
    return times.children_user + times.children_system


def _draft(*, differs: bool) -> dict[str, object]:
    """YAML reads JSON as well."""
    draft: dict[str, object] = orjson.loads(orjson.dumps(DEFINITION))
    if differs:
        members = orjson.loads(orjson.dumps(DEFINITION["members"]))
        members[TARGET]["fields"]["note"] = {"field": "note", "truncate": 200}
        draft["members"] = members
    return draft
