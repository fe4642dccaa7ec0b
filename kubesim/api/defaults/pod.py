"""Defaults of Pods and of the Pod specs in templates.

Upstream: pkg/apis/core/v1/defaults.go, zz_generated.defaults.go:SetObjectDefaults_Pod @v1.36
"""

from __future__ import annotations

from typing import Any

from kubesim.api.canonical import canonical_resource_list, canonical_resources
from kubesim.api.container_totals import total_of_containers
from kubesim.api.defaults import fill
from kubesim.api.defaults.container import default_container
from kubesim.api.defaults.volumes import default_volume
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object

_SPEC: dict[str, Any] = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
}
_SPEC_POINTERS: dict[str, Any] = {"securityContext": {}, "terminationGracePeriodSeconds": 30}
_NO_SPEC: dict[str, Any] = {"spec": {}}
_NO_TEMPLATE: dict[str, Any] = {"metadata": {}, "spec": {}}
_HUGE_PAGES = "hugepages-"


def _spec_in_template(spec: Object) -> Object:
    spec = fill.zero(spec, _SPEC)
    spec = fill.absent(spec, _SPEC_POINTERS)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account and (spec.get("serviceAccountName") != account or spec.get("serviceAccount") != account):
        # The second is the first's old name; the API server keeps them equal.
        spec = {**spec, "serviceAccountName": account, "serviceAccount": account}
    spec = fill.each(spec, "volumes", default_volume)
    for name in ("initContainers", "containers", "ephemeralContainers"):
        spec = fill.each(spec, name, default_container)
    spec = fill.within(spec, "overhead", canonical_resource_list)
    return fill.within(spec, "resources", canonical_resources)


def _spec_of_pod(spec: Object) -> Object:
    for name in ("containers", "initContainers"):
        spec = fill.each(spec, name, _requests_from_limits)
    if spec.get("resources") is not None:
        spec = _pod_level_requests(_pod_level_limits(spec))
    spec = fill.absent(spec, {"enableServiceLinks": True})
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        # Upstream: pkg/apis/core/v1/conversion.go:Convert_v1_Pod_To_core_Pod @v1.36
        spec = {**spec, "terminationGracePeriodSeconds": 1}
    if spec.get("hostNetwork"):
        for name in ("containers", "initContainers"):
            spec = fill.each(spec, name, _host_ports)
    return _spec_in_template(spec)


default_spec_of_pod: IdentityMemo[Object] = IdentityMemo(_spec_of_pod)
default_spec_in_template: IdentityMemo[Object] = IdentityMemo(_spec_in_template)


def _default_pod(pod: Object) -> Object:
    return fill.within(fill.absent(pod, _NO_SPEC), "spec", default_spec_of_pod)


def default_template(template: Object) -> Object:
    """A `PodTemplateSpec` with its defaults: fewer than a Pod's, whose rest comes when the Pod is created."""
    template = fill.absent(template, _NO_TEMPLATE)
    return fill.within(template, "spec", default_spec_in_template)


def _requests_from_limits(container: Object) -> Object:
    resources = container.get("resources") or {}
    limits = resources.get("limits")
    if not limits:
        return container
    requests = {**limits, **(resources.get("requests") or {})}
    if requests == resources.get("requests"):
        return container
    return {**container, "resources": {**resources, "requests": requests}}


def _host_ports(container: Object) -> Object:
    return fill.each(container, "ports", _host_port)


def _host_port(port: Object) -> Object:
    return port if port.get("hostPort") else {**port, "hostPort": port.get("containerPort", 0)}


def _pod_level_limits(spec: Object) -> Object:
    """Huge pages cannot be overcommitted, so the Pod's limit is what its containers are limited to."""
    resources = spec["resources"]
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if not limits and not requests:
        return spec
    missing = {
        name: total
        for name, total in total_of_containers(spec, "limits").items()
        if name.startswith(_HUGE_PAGES) and name not in requests and name not in limits
    }
    return {**spec, "resources": {**resources, "limits": {**limits, **missing}}} if missing else spec


def _pod_level_requests(spec: Object) -> Object:
    """Where the Pod has limits, its requests are what its containers request, or else the limits."""
    resources = spec["resources"]
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if not limits:
        return spec
    totals = total_of_containers(spec, "requests")
    missing = {name: totals[name] for name in ("cpu", "memory") if name in totals and name not in requests}
    for name, limit in limits.items():
        if name not in requests and (name in ("cpu", "memory") or name.startswith(_HUGE_PAGES)):
            missing.setdefault(name, limit)
    return {**spec, "resources": {**resources, "requests": {**requests, **missing}}} if missing else spec


DEFAULTS = {"pods": _default_pod}
