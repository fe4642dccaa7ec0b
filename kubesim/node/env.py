"""A container's environment: services, envFrom, env with references to other variables, fields, ConfigMaps and Secrets.

Upstream: pkg/kubelet/kubelet_pods.go:makeEnvironmentVariables, pkg/kubelet/envvars/envvars.go,
third_party/forked/golang/expansion/expand.go @v1.36
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kubesim.api import quantity
from kubesim.api.objects import Object

FindObject = Callable[[str, str], Object | None]  # (namespace, name) → ConfigMap or Secret


class EnvError(Exception):
    """The environment can't be made; the message is the one that the container's waiting state shows."""


class EnvSources(NamedTuple):
    """Where values come from. `services` are the variables that tell of Services."""

    services: Mapping[str, str]
    config_map: FindObject
    secret: FindObject
    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, Any]


def expand(text: str, lookup: Callable[[str], str | None]) -> str:
    """Replace `$(NAME)` by what `lookup` knows; `$$` is a dollar sign, unknown references stay."""
    if "$" not in text:
        return text
    parts: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0 and dollar + 1 < len(text):
        parts.append(text[at:dollar])
        following = text[dollar + 1]
        at = dollar + 2
        if following == "$":
            parts.append("$")
        elif following == "(" and (end := text.find(")", at)) >= 0:
            name = text[at:end]
            value = lookup(name)
            parts.append(f"$({name})" if value is None else value)
            at = end + 1
        else:
            parts.append(text[dollar:at])
    parts.append(text[at:])
    return "".join(parts)


def decode_secret(value: str) -> str:
    """A Secret's data as text; what is not UTF-8 keeps its bytes as surrogates."""
    try:
        return base64.b64decode(value).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""


def service_variables(services: Iterable[Object], namespace: str, *, has_links: bool) -> dict[str, str]:
    """The variables for the Services that a Pod of a namespace hears of, and for the API server's own."""
    variables: dict[str, str] = {}
    for service in services:
        metadata = service["metadata"]
        cluster_ip = service["spec"].get("clusterIP", "")
        if cluster_ip in {"", "None"} or not service["spec"].get("ports"):
            continue
        is_master = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        if is_master or (has_links and metadata["namespace"] == namespace):
            _add_service(variables, metadata["name"], cluster_ip, service["spec"]["ports"])
    return variables


def _add_service(variables: dict[str, str], name: str, cluster_ip: str, ports: Sequence[Object]) -> None:
    prefix = name.replace("-", "_").upper()
    variables[f"{prefix}_SERVICE_HOST"] = cluster_ip
    variables[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
    host = f"[{cluster_ip}]" if ":" in cluster_ip else cluster_ip
    for index, port in enumerate(ports):
        number = str(port["port"])
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{host}:{number}"
        if port.get("name"):
            variables[f"{prefix}_SERVICE_PORT_{port['name'].replace('-', '_').upper()}"] = number
        if index == 0:
            variables[f"{prefix}_PORT"] = url
        base = f"{prefix}_PORT_{number}_{protocol.upper()}"
        variables[base] = url
        variables[f"{base}_PROTO"] = protocol.lower()
        variables[f"{base}_PORT"] = number
        variables[f"{base}_ADDR"] = cluster_ip


def field_value(pod: Object, path: str, pod_ip: str, host_ip: str) -> str:
    """The text of a field for the downward API.

    Upstream: kubelet_pods.go:podFieldSelectorRuntimeValue, pkg/fieldpath/fieldpath.go @v1.36
    """
    metadata, spec = pod["metadata"], pod["spec"]
    if path in {"status.podIP", "status.podIPs"}:
        return pod_ip
    if path in {"status.hostIP", "status.hostIPs"}:
        return host_ip
    name, _, key = path.removeprefix("metadata.").partition("[")
    if key:
        value: str = (metadata.get(name) or {}).get(key.rstrip("]").strip("'\""), "")
        return value
    if path in {"metadata.labels", "metadata.annotations"}:
        return "\n".join(f"{key}={quoted(text)}" for key, text in sorted((metadata.get(name) or {}).items()))
    if path.startswith("metadata."):
        return str(metadata.get(name, ""))
    if path.startswith("spec."):
        return str(spec.get(path.removeprefix("spec."), ""))
    raise EnvError(f"unsupported fieldPath: {path}")


def quoted(text: str) -> str:
    """A text as Go's `%q` writes it, but for characters that nobody can see."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def resource_value(reference: Object, pod: Object, container: Object, allocatable: Mapping[str, Any]) -> str:
    """A container's request or limit as a whole number of divisors; a missing limit is the node's allocatable.

    Upstream: pkg/api/v1/resource/helpers.go:ExtractContainerResourceValue @v1.36
    """
    wanted = reference.get("containerName")
    if wanted:
        everyone = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
        container = next((item for item in everyone if item["name"] == wanted), container)
    group, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(group) or {}).get(name)
    if amount is None and group == "limits":
        amount = allocatable.get(name, "0")
    divisor = reference.get("divisor") or "1"
    if quantity.parse(divisor).nano == 0:
        divisor = "1"
    total = quantity.parse(amount if amount is not None else "0").nano
    return str(-(-total // quantity.parse(divisor).nano))


def _keys_of(reference: Object, kind: str, namespace: str, find: FindObject) -> dict[str, str] | None:
    """All values of a referred ConfigMap or Secret; None for an optional one that isn't there."""
    name = reference.get("name", "")
    found = find(namespace, name)
    if found is None:
        if reference.get("optional"):
            return None
        raise EnvError(f'{kind} "{name}" not found')
    data = found.get("data") or {}
    return {key: decode_secret(text) for key, text in data.items()} if kind == "secret" else data


def _key_value(reference: Object, kind: str, namespace: str, find: FindObject) -> str | None:
    data = _keys_of(reference, kind, namespace, find)
    if data is None:
        return None
    value = data.get(reference["key"])
    if value is None and not reference.get("optional"):
        shown = "ConfigMap" if kind == "configmap" else "Secret"
        raise EnvError(f"couldn't find key {reference['key']} in {shown} {namespace}/{reference.get('name', '')}")
    return value


def _source_value(source: Object, pod: Object, container: Object, sources: EnvSources) -> str | None:
    namespace = pod["metadata"]["namespace"]
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], sources.pod_ip, sources.host_ip)
    if "resourceFieldRef" in source:
        return resource_value(source["resourceFieldRef"], pod, container, sources.allocatable)
    if "configMapKeyRef" in source:
        return _key_value(source["configMapKeyRef"], "configmap", namespace, sources.config_map)
    if "secretKeyRef" in source:
        return _key_value(source["secretKeyRef"], "secret", namespace, sources.secret)
    return ""


def make_environment(pod: Object, container: Object, sources: EnvSources) -> Mapping[str, str]:
    """The variables of a container; shared and not to be changed when the spec names none.

    Raises:
        EnvError: something that isn't optional is missing.
    """
    env = container.get("env")
    env_from = container.get("envFrom")
    if not env and not env_from:
        return sources.services
    namespace = pod["metadata"]["namespace"]
    own: dict[str, str] = {}
    for entry in env_from or ():
        if "configMapRef" in entry:
            data = _keys_of(entry["configMapRef"], "configmap", namespace, sources.config_map)
        else:
            data = _keys_of(entry["secretRef"], "secret", namespace, sources.secret)
        prefix = entry.get("prefix", "")
        own.update((prefix + key, text) for key, text in (data or {}).items())

    def lookup(name: str) -> str | None:
        value = own.get(name)
        return sources.services.get(name) if value is None else value

    for variable in env or ():
        value: str | None = variable.get("value", "")
        if value:
            value = expand(value, lookup)
        elif variable.get("valueFrom"):
            value = _source_value(variable["valueFrom"], pod, container, sources)
            if value is None:
                continue
        own[variable["name"]] = value or ""
    return {**sources.services, **own}


def expand_arguments(container: Object, env: Mapping[str, str]) -> tuple[str, ...]:
    """The container's command and arguments with references to its variables replaced."""
    words = (*(container.get("command") or ()), *(container.get("args") or ()))
    return tuple(expand(word, env.get) for word in words)
