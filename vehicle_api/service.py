"""The parts of one process, as handlers find them."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web

from vehicle_api.logs import LineHandler
from vehicle_api.metrics import Metrics
from vehicle_api.readiness import Readiness
from vehicle_api.store import Store


class Service(NamedTuple):
    """What a handler may use."""

    store: Store
    readiness: Readiness
    metrics: Metrics
    pod: str
    # Where a line for each request goes; None if nowhere.
    log: LineHandler | None


SERVICE = web.AppKey("service", Service)
