"""What is measured, by name, in the order in which each round takes it.

Each measure has a database of its own. A figure's rivals follow close behind it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench import growth, linked, maintenance
from bench import node_measures as node
from bench import other_measures as other
from bench.deployment import BATCHED
from bench.what_if import what_if
from rps.connectors.node import BATCH as NODE_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.deployment import Deployment
    from bench.outcome import Outcome, Size
    from bench.peers import Peer

    Measures = dict[str, Callable[[Deployment, Size], Outcome]]

LOGS = (10_000, 100_000, 1_000_000)
DEPTHS = (1, 100, 10_000)
LOG_READ = 100_000
"""Events in the log that is rebuilt from, verified and judged again."""

BULK_TIMES = 4
"""Batches are fast: more changes, so that it takes a while."""

SINGLE_TIMES = 0.2
"""One client after the other is slow: fewer."""

LONG = ("growth-", "lanes-", "memory")
"""What these names begin takes long: it runs only when named."""


def measures(peers: Sequence[Peer]) -> Measures:
    """All of them. Without peers the hand-written baseline is the rival."""
    found: Measures = {}
    for part in (_intake, _delivery, _paced, _troubled):
        found |= part(peers)
    return found | _maintenance() | _long()


def chosen(every: Measures, only: Sequence[str], peers: Sequence[Peer]) -> list[str]:
    """Those whose name begins with one of `only`; without it, what is quick."""
    if only:
        return [name for name in every if name.startswith(tuple(only))]
    left_out = LONG + (("baseline-",) if peers else ())
    return [name for name in every if not name.startswith(left_out)]


def _intake(peers: Sequence[Peer]) -> Measures:
    bulk = partial(node.capture, batch=100, times=BULK_TIMES)
    return {
        "capture-1": partial(node.capture, clients=1, times=SINGLE_TIMES),
        "baseline-intake-1": partial(other.intake, connections=1),
        "limit-commit-1": partial(other.commit, connections=1, group=1),
        "capture-8": partial(node.capture, clients=8),
        "baseline-intake-8": partial(other.intake, connections=8),
        "capture-32": partial(node.capture, clients=32),
        "capture-32-api-1": partial(node.capture, clients=32, processes=1),
        **{
            f"peer-intake-8:{peer.name}": partial(peer.intake, producers=8)
            for peer in peers
        },
        "limit-commit-32": partial(other.commit, connections=32, group=1),
        **{
            f"capture-batch-{clients}": partial(bulk, clients=clients)
            for clients in (1, 4, 8)
        },
        "capture-batch-4-api-1": partial(bulk, clients=4, processes=1),
        "capture-stream-1": partial(
            node.capture, clients=1, batch=10_000, stream=True, times=BULK_TIMES
        ),
        **{
            f"limit-commit-{name}-{n}": partial(
                other.commit, connections=n, group=100, times=BULK_TIMES, how=how
            )
            for name, how in (("many", "executemany"), ("group", "unnest"))
            for n in (1, 4)
        },
    }


def _delivery(peers: Sequence[Peer]) -> Measures:
    baselines: Measures = {
        f"baseline-drain-{threads}{name}": partial(
            other.drain, threads=threads, batch=batch
        )
        for threads in (8, 32)
        for name, batch in (("", 1), ("-by-16", 16))
    }
    return {
        "drain-1": node.drain,
        "drain-captured-1": partial(node.drain, accepted=False),
        **baselines,
        **{f"peer-drain:{peer.name}": peer.drain for peer in peers},
        "drain-batched-1": partial(node.drain, template=BATCHED),
        "drain-batched-captured-1": partial(
            node.drain, template=BATCHED, accepted=False
        ),
        **{
            f"limit-{client}-{processes}x{threads}": partial(
                other.requests_alone,
                processes=processes,
                threads=threads,
                client=client,
            )
            for client in ("requests", "adapter", "transport")
            for processes, threads in ((1, 1), (1, 8), (2, 1))
        },
        "drain-2": partial(node.drain, deliverers=2),
        "drain-captured-2": partial(node.drain, deliverers=2, accepted=False),
        "drain-4": partial(node.drain, deliverers=4),
        "drain-batched-2": partial(node.drain, deliverers=2, template=BATCHED),
        "nodes-one": partial(linked.linked, batch=1),
        "nodes-batched": partial(linked.linked, batch=NODE_BATCH),
    }


def _paced(peers: Sequence[Peer]) -> Measures:
    return {
        "latency": node.latency,
        "latency-batched": partial(node.latency, template=BATCHED),
        "baseline-latency": other.latency,
        **{f"peer-latency:{peer.name}": peer.latency for peer in peers},
    }


def _troubled(peers: Sequence[Peer]) -> Measures:
    return {
        "faults": node.faults,
        "faults-batched": partial(node.faults, template=BATCHED),
        "faults-all": partial(node.faults, peers_work=False),
        **{f"peer-faults:{peer.name}": peer.faults for peer in peers},
        "slow-1": partial(node.drain, delay_ms=node.SLOW_MS),
        "slow-2": partial(node.drain, deliverers=2, delay_ms=node.SLOW_MS),
        "slow-batched-1": partial(node.drain, template=BATCHED, delay_ms=node.SLOW_MS),
        "baseline-slow-32": partial(other.drain, threads=32, delay_ms=node.SLOW_MS),
        **{
            f"peer-slow:{peer.name}": partial(peer.drain, delay_ms=node.SLOW_MS)
            for peer in peers
        },
    }


def _maintenance() -> Measures:
    commands: Measures = {
        name: partial(maintenance.command, events=LOG_READ, command=command)
        for name, command in (
            ("rebuild", ("rebuild",)),
            ("verify", ("audit", "verify")),
        )
    }
    return commands | {
        "what-if": partial(what_if, events=LOG_READ, differs=True),
        "what-if-same": partial(what_if, events=LOG_READ, differs=False),
    }


def _long() -> Measures:
    logs = (
        ("capture", growth.log_capture),
        ("drain", growth.log_drain),
        ("latency", growth.log_latency),
    )
    lanes = (("capture", growth.lanes_capture), ("drain", growth.lanes_drain))
    return {
        **{
            f"growth-{name}-{events}": partial(measure, events=events)
            for name, measure in logs
            for events in LOGS
        },
        **{
            f"lanes-{name}-{depth}": partial(measure, depth=depth)
            for name, measure in lanes
            for depth in DEPTHS
        },
        "memory": growth.memory,
    }
