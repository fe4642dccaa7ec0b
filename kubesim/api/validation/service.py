"""Service: its ports, its type and what each type may and must say.

Node ports are checked against each other; whether one is free, or in range, is the allocator's to say.
Upstream: pkg/apis/core/validation/validation.go:validateService, ValidateServiceUpdate,
ValidateLoadBalancerStatus @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api import names
from kubesim.api.objects import Object, annotations_of
from kubesim.api.service_types import is_externally_accessible, is_headless, needs_health_check
from kubesim.api.validation import addresses, field, formats, internal_form
from kubesim.api.validation.endpoints import protocol
from kubesim.api.validation.rules import Rules
from kubesim.api.validation.service_addresses import validate_address_change, validate_cluster_ips
from kubesim.errors import Cause

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_AFFINITY_S_MAX = 86400
_HINTS = "service.kubernetes.io/topology-aware-hints"
_MODE = "service.kubernetes.io/topology-mode"
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_LOAD_BALANCERS_ONLY = "may only be used when `type` is 'LoadBalancer'"
_HEALTH_CHECK_ONLY = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"


def _service(obj: Object, old: Object | None) -> list[Cause]:
    spec = obj.get("spec") or {}
    old_spec = (old.get("spec") or {}) if old is not None else None
    ports = spec.get("ports") or []
    causes = [*_topology(obj), *_type(spec, ports)]
    named: set[str] = set()
    for index, port in enumerate(ports):
        causes += _port(port, f"spec.ports[{index}]", named, is_named=len(ports) > 1)
    causes += formats.labels("spec.selector", spec.get("selector") or {})
    causes += _affinity(spec)
    causes += validate_cluster_ips(spec, old_spec)
    causes += _external_ips(spec, (old_spec or {}).get("externalIPs") or ())
    causes += _type_name(spec.get("type", ""))
    causes += _port_numbers(spec, ports)
    causes += _source_ranges(obj, old)
    causes += _load_balancer(spec)
    causes += _traffic(spec)
    return causes


def _topology(obj: Object) -> Iterator[Cause]:
    annotations = annotations_of(obj)
    mode, hints = annotations.get(_MODE), annotations.get(_HINTS)
    if mode is not None and hints is not None and mode != hints:
        why = f"must match annotations[{_HINTS}] when both are specified"
        yield field.invalid(f"metadata.annotations[{_MODE}]", mode, why)


def _type(spec: Object, ports: list[Object]) -> Iterator[Cause]:
    kind, headless = spec.get("type", ""), is_headless(spec)
    if not ports and not headless and kind != "ExternalName":
        yield field.required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless:
        yield field.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind != "ExternalName":
        return
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            yield field.forbidden(f"spec.{name}", "may not be set for ExternalName services")
    target = spec.get("externalName", "").removesuffix(".")
    if target:
        yield from formats.dns_subdomain("spec.externalName", target)
    else:
        yield field.required("spec.externalName")


def _type_name(kind: str) -> Iterator[Cause]:
    if not kind:
        yield field.required("spec.type")
    elif kind not in TYPES:
        yield field.not_supported("spec.type", kind, TYPES)


def _port(port: Object, path: str, named: set[str], *, is_named: bool) -> Iterator[Cause]:
    name, number = port.get("name", ""), port.get("port", 0)
    if name:
        yield from formats.dns_label(f"{path}.name", name)
        if name in named:
            yield field.duplicate(f"{path}.name", name)
        named.add(name)
    elif is_named:
        yield field.required(f"{path}.name")
    yield from formats.check(f"{path}.port", number, names.port_number(number))
    yield from protocol(port.get("protocol", ""), path)
    target = port.get("targetPort", 0)
    problems = names.port_name(target) if isinstance(target, str) else names.port_number(target)
    yield from formats.check(f"{path}.targetPort", target, problems)
    if "appProtocol" in port:
        yield from formats.qualified_name(f"{path}.appProtocol", port["appProtocol"])


def _affinity(spec: Object) -> Iterator[Cause]:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if not affinity:
        yield field.required("spec.sessionAffinity")
    elif affinity not in _AFFINITIES:
        yield field.not_supported("spec.sessionAffinity", affinity, _AFFINITIES)
    if affinity == "None" and config is not None:
        yield field.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")
    if affinity == "ClientIP":
        yield from _affinity_timeout(config)


def _affinity_timeout(config: Object | None) -> Iterator[Cause]:
    path, value = "spec.sessionAffinityConfig", config
    for name in ("clientIP", "timeoutSeconds"):
        if value is None:
            break
        path, value = f"{path}.{name}", value.get(name)
    if value is None:
        yield field.required(path, "when session affinity type is ClientIP")
    elif isinstance(value, int) and not 0 < value <= _AFFINITY_S_MAX:
        yield field.invalid(path, value, f"must be greater than 0 and less than {_AFFINITY_S_MAX}")


def _external_ips(spec: Object, accepted: list[str] | tuple[()]) -> Iterator[Cause]:
    for index, address in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        causes = list(addresses.legacy_ip(path, address, accepted))
        yield from causes or addresses.endpoint_ip(path, address)


def _port_numbers(spec: Object, ports: list[Object]) -> Iterator[Cause]:
    """Node ports where they may be, and no pair of protocol and number twice."""
    if spec.get("type") == "ClusterIP":
        for index, port in enumerate(ports):
            if port.get("nodePort"):
                why = "may not be used when `type` is 'ClusterIP'"
                yield field.forbidden(f"spec.ports[{index}].nodePort", why)
    node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        pair = (port.get("protocol", ""), port.get("nodePort", 0))
        if pair[1] and pair in node_ports:
            yield field.duplicate(f"spec.ports[{index}].nodePort", pair[1])
        node_ports.add(pair)
    numbers: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        pair = (port.get("protocol", ""), port.get("port", 0))
        if pair in numbers:
            yield field.duplicate(f"spec.ports[{index}]", internal_form.service_port(*pair))
        numbers.add(pair)


def _source_ranges(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Who may reach the load balancer, in the spec or, where that is silent, in an annotation."""
    spec, old_spec = obj.get("spec") or {}, (old or {}).get("spec") or {}
    is_balanced = spec.get("type") == "LoadBalancer"
    ranges, annotation = spec.get("loadBalancerSourceRanges"), annotations_of(obj).get(_SOURCE_RANGES)
    if ranges:
        path = "spec.LoadBalancerSourceRanges"
        if not is_balanced:
            yield field.forbidden(path, _LOAD_BALANCERS_ONLY)
        accepted = [each.strip() for each in old_spec.get("loadBalancerSourceRanges") or ()]
        for index, each in enumerate(ranges):
            yield from addresses.legacy_cidr(f"{path}[{index}]", each.strip(), accepted)
    elif annotation is not None:
        path = f"metadata.annotations[{_SOURCE_RANGES}]"
        if not is_balanced:
            yield field.forbidden(path, _LOAD_BALANCERS_ONLY)
        if annotation.strip() and (old is None or annotations_of(old).get(_SOURCE_RANGES) != annotation):
            for each in annotation.strip().split(","):
                yield from addresses.legacy_cidr(path, each.strip())


def _load_balancer(spec: Object) -> Iterator[Cause]:
    is_balanced = spec.get("type") == "LoadBalancer"
    if "allocateLoadBalancerNodePorts" in spec:
        if not is_balanced:
            yield field.forbidden("spec.allocateLoadBalancerNodePorts", _LOAD_BALANCERS_ONLY)
    elif is_balanced:
        yield field.required("allocateLoadBalancerNodePorts")
    yield from _load_balancer_class(spec)


def _load_balancer_class(spec: Object) -> Iterator[Cause]:
    name = spec.get("loadBalancerClass")
    if name is None:
        return
    if spec.get("type") == "LoadBalancer":
        yield from formats.qualified_name("spec.loadBalancerClass", name)
    else:
        yield field.forbidden("spec.loadBalancerClass", _LOAD_BALANCERS_ONLY)


def _traffic(spec: Object) -> Iterator[Cause]:
    external, port = spec.get("externalTrafficPolicy", ""), spec.get("healthCheckNodePort", 0)
    if not is_externally_accessible(spec):
        if external:
            why = "may only be set for externally-accessible services"
            yield field.invalid("spec.externalTrafficPolicy", external, why)
    elif not external:
        yield field.required("spec.externalTrafficPolicy")
    elif external not in _POLICIES:
        yield field.not_supported("spec.externalTrafficPolicy", external, _POLICIES)
    if not needs_health_check(spec):
        if port:
            yield field.invalid("spec.healthCheckNodePort", port, _HEALTH_CHECK_ONLY)
    elif not port:
        yield field.required("spec.healthCheckNodePort")
    else:
        yield from formats.check("spec.healthCheckNodePort", port, names.port_number(port))
    internal, distribution = spec.get("internalTrafficPolicy"), spec.get("trafficDistribution")
    if internal is None:
        if spec.get("type") in ("ClusterIP", "LoadBalancer", "NodePort"):
            yield field.required("spec.internalTrafficPolicy")
    elif internal not in _POLICIES:
        yield field.not_supported("spec.internalTrafficPolicy", internal, _POLICIES)
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        yield field.not_supported("spec.trafficDistribution", distribution, _DISTRIBUTIONS)


def _service_create(obj: Object) -> list[Cause]:
    return _service(obj, None)


def _service_update(new: Object, old: Object) -> list[Cause]:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    causes = validate_address_change(spec, old_spec)
    if spec.get("type") == old_spec.get("type") == "LoadBalancer":
        name = spec.get("loadBalancerClass")
        if name != old_spec.get("loadBalancerClass"):
            causes.append(field.invalid("spec.loadBalancerClass", name, "may not change once set"))
    # Upstream checks the class once as a part of the change and once as a part of the Service.
    causes += _load_balancer_class(spec)
    is_checked = needs_health_check(spec) and needs_health_check(old_spec)
    if is_checked and spec.get("healthCheckNodePort") != old_spec.get("healthCheckNodePort"):
        causes.append(field.forbidden("spec.healthCheckNodePort", "field is immutable"))
    return [*causes, *_service(new, old)]


def _service_status(new: Object, old: Object) -> list[Cause]:
    ingress = _ingress(new)
    path = "status.loadBalancer.ingress"
    if (new.get("spec") or {}).get("type") != "LoadBalancer" and ingress:
        return [field.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    accepted = [each.get("ip", "") for each in _ingress(old)]
    return [cause for index, each in enumerate(ingress) for cause in _ingress_point(each, f"{path}[{index}]", accepted)]


def _ingress(obj: Object) -> list[Object]:
    balancer = (obj.get("status") or {}).get("loadBalancer") or {}
    listed: list[Object] = balancer.get("ingress") or []
    return listed


def _ingress_point(point: Object, path: str, accepted: list[str]) -> Iterator[Cause]:
    ip, mode, hostname = point.get("ip", ""), point.get("ipMode"), point.get("hostname", "")
    if ip:
        yield from addresses.legacy_ip(f"{path}.ip", ip, accepted)
    if mode is None:
        if ip:
            yield field.required(f"{path}.ipMode", "must be specified when `ip` is set")
    elif not ip:
        yield field.forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set")
    elif mode not in ("VIP", "Proxy"):
        yield field.not_supported(f"{path}.ipMode", mode, ("Proxy", "VIP"))
    if hostname:
        yield from formats.dns_subdomain(f"{path}.hostname", hostname)
        if addresses.parse(hostname).family:
            yield field.invalid(f"{path}.hostname", hostname, "must be a DNS name, not an IP address")


RULES: dict[str, Rules] = {"services": Rules(_service_create, _service_update, _service_status)}
