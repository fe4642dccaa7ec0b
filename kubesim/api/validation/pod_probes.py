"""Probes and lifecycle hooks of a container: exactly one handler each, and thresholds that make sense.

Upstream: pkg/apis/core/validation/validation.go:validateProbe, validateHandler, validateLifecycle @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api import names
from kubesim.api.objects import Object
from kubesim.api.validation.field import forbidden, invalid, not_supported, required
from kubesim.api.validation.formats import check, nonnegative
from kubesim.errors import Cause

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_SCHEMES = ("HTTP", "HTTPS")


def validate_probes(container: Object, grace_period_s: int | None, path: str) -> Iterator[Cause]:
    """The liveness, readiness and startup probe of one container."""
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            yield from _probe(probe, grace_period_s, f"{path}.{name}", readiness=name == "readinessProbe")


def validate_lifecycle(lifecycle: Object, grace_period_s: int | None, path: str) -> Iterator[Cause]:
    """The postStart and preStop hook. A stop signal is behind a gate that 1.36 has off, so the API server drops it."""
    for name in ("postStart", "preStop"):
        hook = lifecycle.get(name)
        if hook is not None:
            yield from _handler(hook, _HOOK_HANDLERS, grace_period_s, f"{path}.{name}")


def _probe(probe: Object, grace_period_s: int | None, path: str, *, readiness: bool) -> Iterator[Cause]:
    yield from _handler(probe, _PROBE_HANDLERS, grace_period_s, path)
    for name in _COUNTS:
        yield from nonnegative(f"{path}.{name}", probe.get(name, 0))
    own_grace_period_s = probe.get("terminationGracePeriodSeconds")
    if own_grace_period_s is not None and own_grace_period_s <= 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", own_grace_period_s, "must be greater than 0")
    if readiness:
        if own_grace_period_s is not None:
            detail = "must not be set for readinessProbes"
            yield invalid(f"{path}.terminationGracePeriodSeconds", own_grace_period_s, detail)
    elif probe.get("successThreshold", 0) != 1:
        yield invalid(f"{path}.successThreshold", probe.get("successThreshold", 0), "must be 1")


def _handler(handler: Object, kinds: tuple[str, ...], grace_period_s: int | None, path: str) -> Iterator[Cause]:
    found = [kind for kind in kinds if handler.get(kind) is not None]
    if not found:
        yield required(path, "must specify a handler type")
        return
    first = found[0]
    action, action_path = handler[first], f"{path}.{first}"
    if first == "exec":
        if not action.get("command"):
            yield required(f"{action_path}.command")
    elif first == "httpGet":
        yield from _http_get(action, action_path)
    elif first == "sleep":
        yield from _sleep(action, grace_period_s, action_path)
    else:
        yield from _port(action.get("port", 0), f"{action_path}.port")
    for kind in found[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")


def _http_get(action: Object, path: str) -> Iterator[Cause]:
    if not action.get("path"):
        yield required(f"{path}.path")
    yield from _port(action.get("port", 0), f"{path}.port")
    if action.get("scheme", "") not in _SCHEMES:
        yield not_supported(f"{path}.scheme", action.get("scheme", ""), _SCHEMES)
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        yield from check(f"{path}.httpHeaders", name, names.http_header_name(name))


def _port(port: int | str, path: str) -> Iterator[Cause]:
    messages = names.port_name(port) if isinstance(port, str) else names.port_number(port)
    yield from check(path, port, messages)


def _sleep(action: Object, grace_period_s: int | None, path: str) -> Iterator[Cause]:
    seconds = action.get("seconds", 0)
    if grace_period_s is not None and not 0 <= seconds <= grace_period_s:
        detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period_s})"
        yield invalid(path, seconds, detail)
