"""The simulator's own paths, apart from Kubernetes': time and faults. JSON in, JSON out.

GET  /kubesim/v1/time                                what time it is
POST /kubesim/v1/time {"speed": 60}                  1, 60, 0.5 or "max"
POST /kubesim/v1/time {"paused": true}
POST /kubesim/v1/time/step {"seconds": 10}           let time pass, also in a pause
POST /kubesim/v1/time/run-until-quiet {"within": 600}

GET    /kubesim/v1/faults/catalogue                  what can be done
GET    /kubesim/v1/faults                            what is on
POST   /kubesim/v1/faults {"losePower": {"node": "node-1"}, "for": "90s"}
DELETE /kubesim/v1/faults/1                          end one, or without a number all
"""

from __future__ import annotations

import math
from typing import Any, Final, final

import msgspec

from kubesim.api.timestamps import to_micro_time
from kubesim.errors import ApiError, UserError, bad_request
from kubesim.http.faults import Faults, catalogue, read_wish
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

    def __init__(self, pace: Pace, faults: Faults) -> None:
        self._pace = pace
        self._faults = faults

    async def answer(self, method: str, path: str, body: bytes) -> Reply:
        """The answer to a path below `PREFIX`.

        Raises:
            ApiError: 400, 404, 405 or 409.
        """
        what, _, rest = path.removeprefix(PREFIX).strip("/").partition("/")
        if what == "time":
            return await self._answer_time(method, rest, body)
        if what == "faults":
            self._pace.catch_up()
            try:
                return self._answer_faults(method, rest, body)
            finally:
                self._pace.nudge()
        raise resource_not_found()

    # --- time ---

    async def _answer_time(self, method: str, what: str, body: bytes) -> Reply:
        if not what and method in ("GET", "HEAD"):
            return json(self._time())
        if what not in ("", "step", "run-until-quiet"):
            raise resource_not_found()
        if method != "POST":
            raise method_not_allowed()
        wish = _read(body)
        if not what:
            self._set(wish)
            return json(self._time())
        if what == "step":
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

    # --- faults ---

    def _answer_faults(self, method: str, what: str, body: bytes) -> Reply:
        faults = self._faults
        if method in ("GET", "HEAD") and what in ("", "catalogue"):
            return json({"faults": catalogue() if what else faults.active()})
        if what and not what.isdecimal():
            raise resource_not_found()
        if method == "DELETE":
            if not what:
                return json({"ended": faults.heal_all()})
            ended = faults.heal(int(what))
            if ended is None:
                raise ApiError(404, "NotFound", f"no fault {what} is on")
            return json({"ended": [ended]})
        if method != "POST" or what:
            raise method_not_allowed()
        try:
            wish = read_wish(_read(body))
        except UserError as error:
            raise bad_request(str(error)) from error
        try:
            return json(faults.inject(wish))._replace(code=201)
        except UserError as error:
            raise ApiError(409, "Conflict", str(error)) from error


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
