"""Python's search for garbage in cycles, in processes that make a lot and no cycles."""

from __future__ import annotations

import gc


def seldom_collected() -> None:
    """What is there by now stays, and what comes is hardly ever a cycle: with the usual
    thresholds a deliverer spent a third of its time looking for them, a rebuild a
    sixth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
