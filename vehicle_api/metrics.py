"""What Prometheus may know of one process: its requests, its connections, and whether it is ready."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from vehicle_api.pool import Pool

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0)


class _MomentCollector(Collector):
    """What is so at the moment, and is looked up when somebody asks."""

    def __init__(self, metrics: Metrics, pool: Pool) -> None:
        self._metrics = metrics
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        """The families."""
        in_flight = self._metrics.in_flight
        yield GaugeMetricFamily("vehicle_api_requests_in_flight", "Requests being answered", in_flight)
        states = GaugeMetricFamily("vehicle_api_db_connections", "Connections to the database", labels=["state"])
        for state, number in self._pool.states.items():
            states.add_metric([state], number)
        yield states
        events = CounterMetricFamily("vehicle_api_db_events", "What happened to connections", labels=["event"])
        for event, number in sorted(self._pool.events.items()):
            events.add_metric([event], number)
        yield events
        yield GaugeMetricFamily("vehicle_api_db_up", "Whether the database was there last", not self._pool.is_away)


class Metrics:
    """Counts requests as they are answered; the rest is read when somebody asks."""

    def __init__(self, pool: Pool) -> None:
        # They say when each series began, and double the number of series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "vehicle_api_requests", "Requests answered", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "vehicle_api_request_seconds", "Time to an answer", ["route"], buckets=_SECONDS, registry=self._registry
        )
        # Requests being answered.
        self.in_flight = 0
        self._registry.register(_MomentCollector(self, pool))
        ProcessCollector(registry=self._registry)
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answer. `route` is the pattern, not the path: there are few patterns and many vehicles."""
        children = self._children.get((method, route, status))
        if children is None:
            children = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._children[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def to_text(self) -> bytes:
        """All of it in Prometheus' text format, of type `CONTENT_TYPE`."""
        return generate_latest(self._registry)
