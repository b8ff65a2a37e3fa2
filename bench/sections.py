"""The tables of RESULTS.md: what stands side by side, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

from bench.figures import DRAIN_RIVALS, INTAKE_RIVALS, SLOW_RIVALS

Columns = tuple[tuple[str, str], ...]
COST: Columns = (("own CPU µs", "cpu_us"), ("PostgreSQL µs", "postgres_us"))
RATE: Columns = (("per second", "per_second"), *COST, ("sink µs", "sink_us"))


@dataclass(frozen=True, slots=True)
class Section:
    """Measures side by side; `rivals`: against the best of which the ratio is."""

    title: str
    says: str
    names: tuple[str, ...]
    columns: Columns = RATE
    rivals: tuple[str, ...] = ()


SECTIONS = (
    Section(
        "Capture",
        "Changes receipted a second; the ratio is to the strongest rival's intake with "
        "8 producers. Rivals' intake is a call inside the producer's own process; ours "
        "comes over HTTP, with schema, idempotency and audit.",
        (
            *("capture-*", "peer-intake-8:*", "baseline-intake-*"),
            "limit-commit-*",
        ),
        rivals=INTAKE_RIVALS,
    ),
    Section(
        "Drain",
        "Messages a second from the first arrival to nothing left to do; the ratio is "
        "to the best rival. `captured`: the receiver still has to judge the backlog. "
        "`batched`: many messages a request, a receipt each. `limit-requests-PxT`: "
        "`requests` alone with P processes of T threads, beside the same PostgreSQL "
        "(idle) and sink; `limit-adapter-PxT`: the same with rps's adapter mounted; "
        "`limit-transport-PxT`: rps's transport, without a session.",
        (
            *("drain-*", "peer-drain:*", "baseline-drain-*", "limit-requests-*"),
            *("limit-adapter-*", "limit-transport-*"),
        ),
        (*RATE, ("messages a request", "messages_a_request")),
        DRAIN_RIVALS,
    ),
    Section(
        "Between two nodes",
        "Messages a second from one node through another to that one's system, from "
        "the first arrival there to the last acknowledgement at the sender. Processor "
        "time is that of both nodes together. The ratio is to one request a message.",
        ("nodes-*",),
        RATE,
        ("nodes-one",),
    ),
    Section(
        "Latency",
        "100 changes a second, whether or not answers come back, in milliseconds.",
        ("latency*", "peer-latency:*", "baseline-latency"),
        (
            *(("arrived p50", "arrived_p50_ms"), ("p99", "arrived_p99_ms")),
            *(("max", "arrived_max_ms"), ("acknowledged p50", "acknowledged_p50_ms")),
            *(("p99", "acknowledged_p99_ms"), *COST),
        ),
    ),
    Section(
        "Rebuild and verify",
        "Events a second by the whole command, its start included.",
        ("rebuild", "verify"),
        (
            *(("per second", "per_second"), ("events", "events")),
            *(("seconds", "seconds"), ("of these to start", "start_seconds")),
        ),
    ),
    Section(
        "What-if",
        "Recorded changes a second, judged again under another definition by the whole "
        "command, its start included: one in which every message would be another one, "
        "and (`-same`) the one that was in force.",
        ("what-if*",),
        (
            *(("per second", "per_second"), ("changes", "changes")),
            *(("seconds", "seconds"), *COST),
        ),
    ),
    Section(
        "One in twenty refused",
        "1,000 changes of 100 keys, back to back (`faults-all`: as many of as many "
        "keys as elsewhere). rps tries again after 5 s, the rivals after 0.2 to 1 s, "
        "and who keeps order has to wait; so `first 70 %` is the rate of what comes "
        "without waiting for a retry, `per second` that of all. Who broke order is "
        "listed under *What failed* and counts as no rival.",
        ("faults*", "peer-faults:*"),
        (
            *(("per second", "per_second"), ("first 70 %", "early_per_second")),
            *(("seconds", "seconds"), ("refused", "refused"), *COST),
        ),
    ),
    Section(
        "A receiver that takes 20 ms",
        "Messages a second; the ratio is to the best rival.",
        ("slow-*", "peer-slow:*", "baseline-slow-*"),
        rivals=SLOW_RIVALS,
    ),
    Section(
        "Cost growth",
        "Copies of a log of so many events (all made by posting and delivering, then "
        "`VACUUM ANALYZE`); lanes of so many waiting messages, the same number of "
        "them measured. Latency is not measured behind deep lanes: a message waits for "
        "those before it.",
        ("growth-*", "lanes-*"),
        (*RATE, ("arrived p50 ms", "arrived_p50_ms"), ("p99 ms", "arrived_p99_ms")),
    ),
)
