"""Two linked nodes on one machine: a backlog goes from one to the other's system."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from bench.deployment import BATCHED
from bench.node_measures import BULK, OPEN, post
from bench.outcome import PATIENCE_SECONDS, drained, one
from bench.process import await_true
from bench.workload import DEFINITION, SYSTEM, TARGET
from rps.application import RemoteProcessSync
from rps.domain.remote_system import RemoteSystem
from rps.workers.worker import clock

if TYPE_CHECKING:
    from bench.deployment import Deployment, Node
    from bench.outcome import Outcome, Size

NEAR, FAR = "near", "far"
JUDGED = """
SELECT NOT EXISTS (SELECT FROM inbound_queue WHERE status = 'ready')
"""


def linked(run: Deployment, size: Size, *, batch: int) -> Outcome:
    """From the first arrival at the far node's system to the last acknowledgement
    here, which comes once that system was written. `batch`: messages a request."""
    with ExitStack() as stack:
        # The far node writes to its system in batches, so that it is not the wall.
        here, there = (stack.enter_context(run.fresh(BATCHED)) for _ in range(2))
        ours = stack.enter_context(run.serve(here))
        theirs = stack.enter_context(run.serve(there))
        link(run, (here, ours), (there, theirs), batch)
        post(run, ours, size.changes, size.keys, **BULK)
        with run.work(here, "receiver", "projector"):
            await_true(
                lambda: _answer(here, JUDGED),
                "everything is accepted",
                ours.process,
                PATIENCE_SECONDS + size.changes / 100,
            )
        run.sink.reset()
        workers = [stack.enter_context(run.work(dsn)) for dsn in (there, here)]
        connection = stack.enter_context(psycopg.connect(here, autocommit=True))
        return drained(
            run,
            size.changes,
            [*workers, ours.process, theirs.process],
            lambda: not one(connection, OPEN),
        )


def link(
    run: Deployment, near: tuple[str, Node], far: tuple[str, Node], batch: int
) -> None:
    (here, ours), (there, theirs) = near, far
    urls = [f"http://127.0.0.1:{node.port}" for node in (ours, theirs)]
    invite = ("system", "invite", FAR, "--url", urls[0], "--as", NEAR)
    token = run.rps(here, *invite).strip()
    run.rps(there, "system", "accept", token, "--url", urls[1])
    for dsn, own, other in ((here, SYSTEM, FAR), (there, TARGET, NEAR)):
        document = run.folder / f"{other}.yaml"
        document.write_bytes(orjson.dumps(_definition(own, other)))
        run.rps(dsn, "definition", "apply", str(document))
    application = RemoteProcessSync(here, connections=1)
    application.change(
        RemoteSystem,
        RemoteSystem.id_of("top", FAR),
        lambda each: each.change(
            "", {**each.settings, "batch": batch}, "bench", clock()
        ),
    )
    application.close()


def _definition(own: str, other: str) -> dict[str, Any]:
    """The work's definition, its other member being the other node."""
    members: Any = DEFINITION["members"]
    shared = {**members[own], "table": DEFINITION["process_event"]}
    return {**DEFINITION, "members": {own: members[own], other: shared}}


def _answer(dsn: str, sql: str) -> bool:
    with psycopg.connect(dsn) as connection:
        return bool(one(connection, sql))
