"""What is measured, by name, in the order in which each round takes it.

Each measure has a database of its own. A figure's rivals follow close behind it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench import node_measures as node
from bench import other_measures as other

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.deployment import Deployment
    from bench.outcome import Outcome, Size

MEASURES: dict[str, Callable[[Deployment, Size], Outcome]] = {
    "capture-1": partial(node.capture, clients=1, batch=1),
    "baseline-intake-1": partial(other.intake, connections=1),
    "limit-commit-1": partial(other.commit, connections=1, group=1),
    "capture-8": partial(node.capture, clients=8, batch=1),
    "baseline-intake-8": partial(other.intake, connections=8),
    "limit-commit-8": partial(other.commit, connections=8, group=1),
    "capture-32": partial(node.capture, clients=32, batch=1),
    "limit-commit-32": partial(other.commit, connections=32, group=1),
    "capture-batch-1": partial(node.capture, clients=1, batch=100),
    "capture-batch-4": partial(node.capture, clients=4, batch=100),
    "capture-batch-8": partial(node.capture, clients=8, batch=100),
    "limit-commit-group": partial(other.commit, connections=1, group=100),
    "drain-1": partial(node.drain, deliverers=1),
    "drain-captured-1": partial(node.drain, deliverers=1, accepted=False),
    "baseline-drain-8": partial(other.drain, threads=8),
    "baseline-drain-32": partial(other.drain, threads=32),
    "baseline-drain-8-by-16": partial(other.drain, threads=8, batch=16),
    "baseline-drain-32-by-16": partial(other.drain, threads=32, batch=16),
    "limit-requests-1": partial(other.requests_alone, processes=1),
    "drain-2": partial(node.drain, deliverers=2),
    "drain-captured-2": partial(node.drain, deliverers=2, accepted=False),
    "baseline-drain-2x8": partial(other.drain, threads=8, processes=2),
    "baseline-drain-2x8-by-16": partial(other.drain, threads=8, batch=16, processes=2),
    "limit-requests-2": partial(other.requests_alone, processes=2),
    "latency": node.latency,
    "baseline-latency": other.latency,
}
