"""`pods/log`: what a container has written, from where and how much one asks for, and what it writes from now on.

Upstream: pkg/kubelet/kuberuntime/logs/logs.go:ReadLogs,
pkg/apis/core/validation/validation.go:ValidatePodLogOptions @v1.36
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple

from kubesim.api.timestamps import from_time, to_time
from kubesim.cluster.containers import Line
from kubesim.errors import Cause, bad_request, invalid
from kubesim.http.parameters import is_true, whole_number
from kubesim.programs.running import RunningProcess
from kubesim.sim.loop import SECOND

# How often a container that is followed is looked at: by the wall clock, as its reader is.
_LOOK_S: Final = 0.05


class LogOptions(NamedTuple):
    """What is asked for. `since_ns` is an instant; `tail` and `limit` are None for all."""

    container: str
    follow: bool
    previous: bool
    timestamps: bool
    since_ns: int | None
    tail: int | None
    limit: int | None


def read_log_options(query: Mapping[str, str], now_ns: int) -> LogOptions:
    """The options of a query.

    Raises:
        ApiError: 400 or 422, one is none or out of range.
    """
    tail, limit = whole_number(query, "tailLines"), whole_number(query, "limitBytes")
    seconds, text = whole_number(query, "sinceSeconds"), query.get("sinceTime", "")
    causes = []
    if tail is not None and tail < 0:
        causes.append(_too_small("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        causes.append(_too_small("limitBytes", limit, "must be greater than 0"))
    if seconds is not None and text:
        why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("FieldValueForbidden", "", why))
    elif seconds is not None and seconds < 1:
        causes.append(_too_small("sinceSeconds", seconds, "must be greater than 0"))
    if causes:
        raise invalid("PodLogOptions", "", "", causes)
    since_ns = None if seconds is None else now_ns - seconds * SECOND
    if text:
        try:
            since_ns = from_time(text)
        except (ValueError, TypeError):
            raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
    return LogOptions(
        query.get("container", ""),
        is_true(query, "follow"),
        is_true(query, "previous"),
        is_true(query, "timestamps"),
        since_ns,
        tail,
        limit,
    )


def _too_small(field: str, value: int, why: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {value}: {why}")


def written(lines: Sequence[Line], options: LogOptions) -> bytes:
    """The lines that are wanted of those that there are."""
    since_ns = options.since_ns
    chosen = [line for line in lines if since_ns is None or line[0] >= since_ns]
    if options.tail is not None:
        chosen = chosen[max(0, len(chosen) - options.tail) :]
    return b"".join(_shown(line, options) for line in chosen)[: options.limit]


def _shown(line: Line, options: LogOptions) -> bytes:
    at_ns, text = line
    stamp = f"{to_time(at_ns)[:-1]}.{at_ns % SECOND:09d}Z " if options.timestamps else ""
    return f"{stamp}{text}\n".encode()


async def followed(process: RunningProcess, seen: int, options: LogOptions, length: int) -> AsyncIterator[bytes]:
    """What a process writes after its first `seen` lines, until it ends or enough has come.

    `length` is how many bytes of those lines count towards the limit.
    """
    left = None if options.limit is None else options.limit - length
    while left is None or left > 0:
        is_over = process.ending is not None
        count = min(process.written - seen, len(process.output))
        if count:
            seen = process.written
            chunk = b"".join(_shown(line, options) for line in process.output[-count:])[:left]
            left = None if left is None else left - len(chunk)
            yield chunk
        if is_over:
            return
        await asyncio.sleep(_LOOK_S)
