"""A Pod's spec, in a Pod or in a template.

The result depends on nothing but the spec, so that Pods which share their template's spec are checked once.
Upstream: pkg/apis/core/validation/validation.go:ValidatePodSpec @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesim.api import names
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object
from kubesim.api.validation.container import (
    PodContext,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
    validate_only_for_pod,
)
from kubesim.api.validation.container_resources import validate_container_resources, validate_pod_resources
from kubesim.api.validation.field import duplicate, forbidden, invalid, not_found, not_supported, required, too_long
from kubesim.api.validation.formats import check, dns_label, dns_subdomain, ip_address, labels, qualified_name
from kubesim.api.validation.pod_placement import validate_affinity, validate_tolerations, validate_topology_spread
from kubesim.api.validation.pod_resources import validate_resource_consistency
from kubesim.api.validation.pod_security import validate_host_users, validate_pod_security_context
from kubesim.api.validation.volumes import validate_volumes
from kubesim.errors import Cause

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_SYSTEMS = ("linux", "windows")
_NAMESERVERS_MAX = 3
_SEARCHES_MAX = 32
_SEARCH_CHARACTERS_MAX = 2048
_HOSTNAME_OVERRIDE_MAX = 64
_MAX_INT32 = 2**31 - 1


def validate_spec_of_pod(spec: Object, pod_name: str) -> tuple[Cause, ...]:
    """What is wrong with the spec of a Pod. Remembered by the spec's identity."""
    causes, needs_name = _spec_of_pod(spec)
    return tuple(_only_in_pod(spec, pod_name)) if needs_name else causes


def _check_spec_of_pod(spec: Object) -> tuple[tuple[Cause, ...], bool]:
    # Generic ephemeral volumes are the only part whose rules read the Pod's name.
    if any("ephemeral" in volume for volume in spec.get("volumes") or ()):
        return (), True
    return tuple(_only_in_pod(spec, "")), False


_spec_of_pod: IdentityMemo[tuple[tuple[Cause, ...], bool]] = IdentityMemo(_check_spec_of_pod)


def _only_in_pod(spec: Object, pod_name: str) -> Iterator[Cause]:
    yield from validate_pod_spec(spec, "spec", is_pod=True, pod_name=pod_name)
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(spec.get("volumes") or ()):
            for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if source.get("serviceAccountToken") is not None:
                    at = f"spec.volumes[{index}].projected.sources[{number}].serviceAccountToken"
                    yield forbidden(at, "must not be specified when serviceAccountName is not set")
    for name in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(name) or ()):
            yield from validate_only_for_pod(container, f"spec.{name}[{index}]")


def validate_pod_spec(spec: Object, path: str, *, is_pod: bool, pod_name: str = "") -> Iterator[Cause]:
    """The rules that a Pod's spec breaks; `is_pod` is false inside a template, which has no name yet either."""
    grace_period_s = spec.get("terminationGracePeriodSeconds")
    if grace_period_s is None:
        yield required(f"{path}.terminationGracePeriodSeconds")
    volumes, causes = validate_volumes(spec.get("volumes") or (), f"{path}.volumes", is_pod=is_pod, pod_name=pod_name)
    yield from causes
    claims = spec.get("resourceClaims") or ()
    yield from _resource_claims(claims, f"{path}.resourceClaims")
    context = PodContext(
        volumes,
        frozenset(claim["name"] for claim in claims if claim.get("name")),
        grace_period_s,
        spec.get("restartPolicy", ""),
        spec.get("hostUsers", True),
    )
    yield from _all_containers(spec, context, path)
    yield from _pod_level_resources(spec, context, path)
    yield from _host_network_ports(spec, path, is_pod=is_pod)
    yield from _policies(spec, path)
    yield from labels(f"{path}.nodeSelector", spec.get("nodeSelector") or {})
    yield from validate_pod_security_context(spec.get("securityContext") or {}, spec, f"{path}.securityContext")
    if spec.get("affinity") is not None:
        yield from validate_affinity(spec["affinity"], f"{path}.affinity")
    yield from _dns_config(spec.get("dnsConfig"), spec.get("dnsPolicy", ""), f"{path}.dnsConfig")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        yield from qualified_name(f"{path}.readinessGates[{index}].conditionType", gate.get("conditionType", ""))
    yield from _scheduling_gates(spec.get("schedulingGates") or (), f"{path}.schedulingGates")
    yield from validate_topology_spread(
        spec.get("topologySpreadConstraints") or (), f"{path}.topologySpreadConstraints"
    )
    yield from validate_host_users(spec, path)
    yield from _hostname_override(spec, path)
    yield from _names_and_numbers(spec, path)
    yield from _file_key_volumes(spec, path)


def _all_containers(spec: Object, context: PodContext, path: str) -> Iterator[Cause]:
    regular, init = spec.get("containers") or (), spec.get("initContainers") or ()
    yield from validate_containers(regular, context, f"{path}.containers")
    if init:
        yield from validate_init_containers(init, regular, context, f"{path}.initContainers")
    ephemeral = spec.get("ephemeralContainers")
    if ephemeral:
        yield from validate_ephemeral_containers(ephemeral, [*regular, *init], context, f"{path}.ephemeralContainers")


def _resource_claims(claims: Sequence[Object], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        at, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            yield required(f"{at}.name")
        elif name in seen:
            yield duplicate(f"{at}.name", name)
        else:
            yield from dns_label(f"{at}.name", name)
            seen.add(name)
        existing, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        # The form of upstream's internal struct.
        printed = {"Name": name, "ResourceClaimName": existing, "ResourceClaimTemplateName": template}
        if existing is not None and template is not None:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            yield invalid(at, printed, detail)
        if existing is None and template is None:
            yield invalid(at, printed, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        if existing is not None:
            yield from dns_subdomain(f"{at}.resourceClaimName", existing)
        if template is not None:
            yield from dns_subdomain(f"{at}.resourceClaimTemplateName", template)


def _pod_level_resources(spec: Object, context: PodContext, path: str) -> Iterator[Cause]:
    resources = spec.get("resources")
    if resources is None:
        return
    if (spec.get("os") or {}).get("name") == "windows":
        yield forbidden(f"{path}.resources", "may not be set for a windows pod")
        return
    yield from validate_pod_resources(resources, context.claim_names, f"{path}.resources")
    yield from validate_resource_consistency(spec, f"{path}.resources")


def _host_network_ports(spec: Object, path: str, *, is_pod: bool) -> Iterator[Cause]:
    if not spec.get("hostNetwork"):
        return
    for index, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            host_port, container_port = port.get("hostPort", 0), port.get("containerPort", 0)
            # In a template the host port may still be missing: it is defaulted when the Pod is created.
            if (is_pod or host_port != 0) and host_port != container_port:
                at = f"{path}.containers[{index}].ports[{number}].hostPort"
                yield invalid(at, host_port, "must match `containerPort` when `hostNetwork` is true")


def _policies(spec: Object, path: str) -> Iterator[Cause]:
    for name, choices in (("restartPolicy", _RESTART_POLICIES), ("dnsPolicy", _DNS_POLICIES)):
        value = spec.get(name, "")
        if not value:
            yield required(f"{path}.{name}")
        elif value not in choices:
            yield not_supported(f"{path}.{name}", value, choices)


def _dns_config(config: Object | None, policy: str, path: str) -> Iterator[Cause]:
    if policy == "None":
        if config is None:
            yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.get("nameservers"):
            yield required(f"{path}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
            return
    if config is None:
        return
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    if len(servers) > _NAMESERVERS_MAX:
        yield invalid(f"{path}.nameservers", servers, f"must not have more than {_NAMESERVERS_MAX} nameservers")
    for index, server in enumerate(servers):
        yield from ip_address(f"{path}.nameservers[{index}]", server)
    if len(searches) > _SEARCHES_MAX:
        yield invalid(f"{path}.searches", searches, f"must not have more than {_SEARCHES_MAX} search paths")
    if len(" ".join(searches)) > _SEARCH_CHARACTERS_MAX:
        limit = f"{_SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        yield invalid(f"{path}.searches", searches, f"must not have more than {limit}")
    for index, search in enumerate(searches):
        if search != ".":
            domain = search.removesuffix(".")
            at = f"{path}.searches[{index}]"
            yield from check(at, domain, names.dns_1123_subdomain_with_underscore(domain))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required(f"{path}.options[{index}]", "must not be empty")


def _scheduling_gates(gates: Sequence[Object], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        yield from qualified_name(f"{path}[{index}]", name)
        if name in seen:
            yield duplicate(f"{path}[{index}]", name)
        seen.add(name)


def _hostname_override(spec: Object, path: str) -> Iterator[Cause]:
    name = spec.get("hostnameOverride")
    if name is None:
        return
    at = f"{path}.hostnameOverride"
    if spec.get("setHostnameAsFQDN"):
        yield forbidden(at, "may not be specified when setHostnameAsFQDN is true")
    if spec.get("hostNetwork"):
        yield forbidden(at, "may not be specified when hostNetwork is true")
    if len(name) > _HOSTNAME_OVERRIDE_MAX:
        yield too_long(at, _HOSTNAME_OVERRIDE_MAX)
    yield from dns_subdomain(at, name)


def _names_and_numbers(spec: Object, path: str) -> Iterator[Cause]:
    for name in ("serviceAccountName", "nodeName"):
        if spec.get(name):
            yield from dns_subdomain(f"{path}.{name}", spec[name])
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is not None and not 1 <= deadline_s <= _MAX_INT32:
        yield invalid(f"{path}.activeDeadlineSeconds", deadline_s, names.out_of_range(1, _MAX_INT32))
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            yield from dns_label(f"{path}.{name}", spec[name])
    yield from validate_tolerations(spec.get("tolerations") or (), f"{path}.tolerations")
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        at = f"{path}.hostAliases[{index}]"
        yield from ip_address(f"{at}.ip", alias.get("ip", ""))
        for number, hostname in enumerate(alias.get("hostnames") or ()):
            yield from dns_subdomain(f"{at}.hostnames[{number}]", hostname)
    if spec.get("priorityClassName"):
        yield from dns_subdomain(f"{path}.priorityClassName", spec["priorityClassName"])
    if spec.get("runtimeClassName") is not None:
        yield from dns_subdomain(f"{path}.runtimeClassName", spec["runtimeClassName"])
    preemption = spec.get("preemptionPolicy")
    if preemption is not None and preemption not in _PREEMPTION_POLICIES:
        yield not_supported(f"{path}.preemptionPolicy", preemption, _PREEMPTION_POLICIES)
    if spec.get("overhead") is not None:
        overhead = {"limits": spec["overhead"]}
        yield from validate_container_resources(overhead, frozenset(), f"{path}.overhead")
    if spec.get("os") is not None:
        system = spec["os"].get("name", "")
        if not system:
            yield required(f"{path}.os.name")
        elif system not in _SYSTEMS:
            yield not_supported(f"{path}.os", system, _SYSTEMS)


def _file_key_volumes(spec: Object, path: str) -> Iterator[Cause]:
    """Files that hold environment variables must lie on an emptyDir of the Pod."""
    for field_name in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field_name) or ()):
            for number, variable in enumerate(container.get("env") or ()):
                reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
                if reference is None:
                    continue
                name = reference.get("volumeName", "")
                at = f"{path}.{field_name}[{index}].env[{number}].valueFrom.fileKeyRef.volumeName"
                volume = next((each for each in spec.get("volumes") or () if each.get("name") == name), None)
                if volume is None:
                    yield not_found(at, name)
                elif "emptyDir" not in volume:
                    yield invalid(at, name, "referenced volume must be of type emptyDir")
