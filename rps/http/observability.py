"""Whether the node lives, is ready, and how it is doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rps.http.answers import answer
from rps.http.routes import public, route
from rps.migrate import MigrationError, pending
from rps.projections.problem_questions import ProblemQuestions
from rps.projections.queue_questions import QueueQuestions
from rps.projections.system_questions import SystemQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from flask import Flask
    from prometheus_client import Metric

    from rps.http.parts import Parts

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNMATCHED = "unmatched"


class Observability:
    """`/livez`, `/readyz` and `/metrics`, without a token and without /v1."""

    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._questions = SystemQuestions(parts.application.datastore)
        self._migrated = False
        self._registry = CollectorRegistry()
        self._registry.register(_Queues(parts))
        self._requests = Counter(
            "rps_http_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "rps_http_request_seconds",
            "Seconds from the request's arrival to its answer",
            ["method", "route"],
            registry=self._registry,
        )

    @route("GET", "/livez", "The process is up")
    @public
    def get_livez(self) -> Response:
        return answer({"live": True})

    @route("GET", "/readyz", "Database reachable, migrations applied, views' lag")
    @public
    def get_readyz(self) -> Response:
        missing = self._missing()
        if missing:
            made = answer({"ready": False, "missing": missing}, 503)
            made.headers["Retry-After"] = "5"
            return made
        head, views = self._questions.progress()
        lag = {view: head - position for view, position in views.items()}
        return answer({"ready": True, "head": head, "projection_lag": lag})

    @route("GET", "/metrics", "Prometheus text", media_type=METRICS_TYPE)
    @public
    def get_metrics(self) -> Response:
        return Response(generate_latest(self._registry), content_type=METRICS_TYPE)

    def count(self, flask_app: Flask) -> None:
        """Count and time every request of the app."""

        def started() -> None:
            g.started = time.perf_counter()

        def answered(response: Response) -> Response:
            rule = request.url_rule
            named = rule.rule if rule is not None else UNMATCHED
            # An unknown method is the caller's text: it must not become a label.
            method = request.method if rule is not None else "any"
            self.counted(method, named, response.status_code, g.get("started"))
            return response

        flask_app.before_request(started)
        flask_app.after_request(answered)

    def counted(
        self, method: str, named: str, status: int, started: float | None
    ) -> None:
        """Count one request, and its time since `started` on the performance clock."""
        now = time.perf_counter()
        self._requests.labels(method, named, str(status)).inc()
        self._seconds.labels(method, named).observe(now - (started or now))

    def _missing(self) -> list[str]:
        """Migrations still to be applied; once there are none it stays so."""
        if self._migrated:
            return []
        try:
            missing = pending(self._application.database_url)
        except MigrationError as error:
            return [str(error)]
        self._migrated = not missing
        return missing


class _Queues(Collector):
    """Read from the views at every scrape: what waits, how long, and the lags."""

    def __init__(self, parts: Parts) -> None:
        self._queues = QueueQuestions(parts.application.datastore)
        self._systems = SystemQuestions(parts.application.datastore)
        self._problems = ProblemQuestions(parts.application.datastore)
        self._clock: Callable[[], datetime] = parts.clock

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: registering must not ask the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        entries = GaugeMetricFamily(
            "rps_queue_entries",
            "Entries that are open",
            labels=["queue", "domain", "system", "status"],
        )
        for row in self._queues.counts():
            labels = [row["queue"], row["domain"], row["system"], row["status"]]
            entries.add_metric(labels, row["entries"])
        yield entries
        groups = GaugeMetricFamily(
            "rps_problem_groups",
            "Different mistakes that entries wait or fail with; 10,000 are counted",
            labels=["domain", "queue", "state"],
        )
        for row in self._problems.counts():
            labels = [row["domain"], row["queue"], row["state"]]
            groups.add_metric(labels, row["groups"])
        yield groups
        due = GaugeMetricFamily(
            "rps_oldest_due_seconds",
            "For how long the lane that is due the longest has been due",
            labels=["direction", "domain", "system"],
        )
        now = self._clock()
        for row in self._queues.oldest_due():
            age = max(0.0, (now - row["due_at"]).total_seconds())
            due.add_metric([row["direction"], row["domain"], row["system"]], age)
        yield due
        head, views = self._systems.progress()
        yield GaugeMetricFamily("rps_log_head", "Position of the last event", head)
        lag = GaugeMetricFamily(
            "rps_projection_lag_events",
            "Events a followed view has not seen yet",
            labels=["view"],
        )
        for view, position in views.items():
            lag.add_metric([view], head - position)
        yield lag
