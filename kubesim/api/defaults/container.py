"""Defaults of containers, whichever list they are in.

Upstream: pkg/apis/core/v1/defaults.go:SetDefaults_Container, SetDefaults_Probe, SetDefaults_HTTPGetAction @v1.36
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Any

from kubesim.api import quantity
from kubesim.api.canonical import canonical_resources
from kubesim.api.defaults import fill
from kubesim.api.objects import Object

_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HTTP_GET = {"path": "/", "scheme": "HTTP"}
_NO_RESOURCES: dict[str, Any] = {"resources": {}}
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}(?::[0-9]+)?/)?{_PART}(?:/{_PART})*(?::(?P<tag>[\w][\w.-]{{0,127}}))?(?P<digest>@[^@\s]+)?", re.ASCII
)
_IDENTIFIER = re.compile("[a-f0-9]{64}")


@lru_cache(maxsize=4096)
def default_pull_policy(image: str) -> str:
    """`Always` for the tag `latest`, said or implied, else `IfNotPresent`, which is also for what is no reference.

    Upstream: pkg/util/parsers/parsers.go:ParseImageName @v1.36
    """
    match = _REFERENCE.fullmatch(image)
    if match is None or _IDENTIFIER.fullmatch(image):
        return "IfNotPresent"
    tag = match["tag"]
    if tag is None and match["digest"] is None:
        tag = "latest"
    return "Always" if tag == "latest" else "IfNotPresent"


def default_container(container: Object) -> Object:
    """A container with its defaults."""
    container = fill.zero(container, _CONTAINER)
    if not container.get("imagePullPolicy"):
        container = {**container, "imagePullPolicy": default_pull_policy(container.get("image", ""))}
    container = fill.absent(container, _NO_RESOURCES)
    container = fill.within(container, "resources", canonical_resources)
    container = fill.each(container, "ports", _port)
    container = fill.each(container, "env", _variable)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        container = fill.within(container, name, _probe)
    return fill.within(container, "lifecycle", _lifecycle)


_port = partial(fill.zero, defaults={"protocol": "TCP"})
_http_get = partial(fill.zero, defaults=_HTTP_GET)
_grpc = partial(fill.absent, defaults={"service": ""})
_file_key = partial(fill.absent, defaults={"optional": False})
default_field_ref = partial(fill.zero, defaults={"apiVersion": "v1"})


def default_resource_field_ref(reference: Object) -> Object:
    """The divisor is a plain quantity upstream, so that it is always printed."""
    divisor = quantity.canonical(reference.get("divisor", "0"))
    return reference if reference.get("divisor") == divisor else {**reference, "divisor": divisor}


def _variable(variable: Object) -> Object:
    return fill.within(variable, "valueFrom", _value_from)


def _value_from(source: Object) -> Object:
    source = fill.within(source, "fieldRef", default_field_ref)
    source = fill.within(source, "resourceFieldRef", default_resource_field_ref)
    return fill.within(source, "fileKeyRef", _file_key)


def _probe(probe: Object) -> Object:
    probe = fill.zero(probe, _PROBE)
    probe = fill.within(probe, "httpGet", _http_get)
    return fill.within(probe, "grpc", _grpc)


def _lifecycle(lifecycle: Object) -> Object:
    for name in ("postStart", "preStop"):
        lifecycle = fill.within(lifecycle, name, _hook)
    return lifecycle


def _hook(hook: Object) -> Object:
    return fill.within(hook, "httpGet", _http_get)
