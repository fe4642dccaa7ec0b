"""The simulator's own paths, apart from Kubernetes': time, and what is not an object. JSON in, JSON out.

GET  /kubesim/v1/time                                what time it is
POST /kubesim/v1/time {"speed": 60}                  1, 60, 0.5 or "max"
POST /kubesim/v1/time {"paused": true}
POST /kubesim/v1/time/step {"seconds": 10}           let time pass, also in a pause
POST /kubesim/v1/time/run-until-quiet {"within": 600}
"""

from __future__ import annotations

import math
from typing import Any, Final, final

import msgspec

from kubesim.api.timestamps import to_micro_time
from kubesim.errors import ApiError, bad_request
from kubesim.http.pace import MAX, Pace
from kubesim.http.statuses import Reply, json, method_not_allowed
from kubesim.http.targets import resource_not_found
from kubesim.sim.loop import SECOND

PREFIX: Final = "/kubesim/v1/"
_SPEED_MAX: Final = 1_000_000
_STEP_MAX_S: Final = 366 * 86_400
_WITHIN_S: Final = 3600


@final
class Control:
    """What can be asked of the simulation itself."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    async def answer(self, method: str, path: str, body: bytes) -> Reply:
        """The answer to a path below `PREFIX`.

        Raises:
            ApiError: 400, 404 or 405.
        """
        what = path.removeprefix(PREFIX).strip("/")
        if what == "time" and method in ("GET", "HEAD"):
            return json(self._time())
        if what not in ("time", "time/step", "time/run-until-quiet"):
            raise resource_not_found()
        if method != "POST":
            raise method_not_allowed()
        wish = _read(body)
        if what == "time":
            self._set(wish)
            return json(self._time())
        if what == "time/step":
            passed_ns = await self._pace.advance(_seconds(wish, "seconds", None))
        else:
            passed_ns = await self._pace.advance(_seconds(wish, "within", _WITHIN_S), until_quiet=True)
        return json({**self._time(), "passedSeconds": passed_ns / SECOND})

    def _time(self) -> dict[str, Any]:
        pace = self._pace
        pace.catch_up()
        return {
            "now": to_micro_time(pace.loop.now_ns),
            "speed": "max" if pace.speed == MAX else pace.speed,
            "paused": pace.is_paused,
            "quiet": pace.is_quiet,
        }

    def _set(self, wish: dict[str, Any]) -> None:
        unknown = set(wish) - {"speed", "paused"}
        if unknown or not wish:
            raise bad_request("time takes speed and paused")
        paused = wish.get("paused")
        if paused is not None and not isinstance(paused, bool):
            raise bad_request("paused is true or false")
        if "speed" in wish:
            self._pace.set_speed(read_speed(wish["speed"]))
        if paused:
            self._pace.pause()
        elif paused is False:
            self._pace.resume()


def read_speed(value: Any) -> float:
    """A speed as users write it: a number of virtual seconds a second, or `max`.

    Raises:
        ApiError: 400, it is neither.
    """
    if value == "max":
        return MAX
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _SPEED_MAX:
        raise bad_request(f'speed is a number above 0 and up to {_SPEED_MAX}, or "max"')
    return float(value)


def _read(body: bytes) -> dict[str, Any]:
    try:
        wish = msgspec.json.decode(body) if body else {}
    except (ValueError, RecursionError):
        wish = None
    if not isinstance(wish, dict):
        raise bad_request("the body is no JSON object")
    return wish


def _seconds(wish: dict[str, Any], name: str, default: float | None) -> int:
    value = wish.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _no_seconds(name)
    if value > _STEP_MAX_S:
        raise _no_seconds(name)
    return round(value * SECOND)


def _no_seconds(name: str) -> ApiError:
    return bad_request(f"{name} is a number of seconds from 0 to {_STEP_MAX_S}")
