"""Environment variables of a container and the references to fields, resources, ConfigMaps and Secrets behind them.

Upstream: pkg/apis/core/validation/validation.go:ValidateEnv, ValidateEnvFrom, validateObjectFieldSelector @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesim.api import names, quantity
from kubesim.api.objects import Object
from kubesim.api.validation.field import invalid, not_supported, required
from kubesim.api.validation.formats import check, dns_label, dns_subdomain, qualified_name
from kubesim.api.validation.volume_paths import no_backsteps
from kubesim.errors import Cause

ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
# What the downward API can convert at all; a place where it is used supports a part of these.
_CONVERTIBLE_FIELDS = frozenset(
    {*ENV_FIELDS, "metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase"}
)
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def validate_env(variables: Sequence[Object], path: str) -> Iterator[Cause]:
    """The `env` list of a container."""
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            yield required(f"{path}[{index}].name")
        else:
            messages = names.env_var_name(name)
            if messages:
                yield from check(f"{path}[{index}].name", name, messages)
        if variable.get("valueFrom") is not None:
            yield from _value_from(variable, f"{path}[{index}].valueFrom")


def _value_from(variable: Object, path: str) -> Iterator[Cause]:
    source = variable["valueFrom"]
    present = [kind for kind in _SOURCES if source.get(kind) is not None]
    for kind in present:
        reference, at = source[kind], f"{path}.{kind}"
        if kind == "fieldRef":
            yield from validate_field_ref(reference, ENV_FIELDS, at)
        elif kind == "resourceFieldRef":
            yield from validate_resource_field_ref(reference, at, in_volume=False)
        elif kind == "fileKeyRef":
            yield from _file_key(reference, at)
        else:
            yield from _object_key(reference, at)
    if not present:
        choices = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(path, "", f"must specify one of: {choices}")
    elif variable.get("value"):
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif len(present) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def validate_field_ref(reference: Object, supported: Sequence[str], path: str) -> Iterator[Cause]:
    """A reference to a field of the Pod itself; `supported` is sorted."""
    api_version, field_path = reference.get("apiVersion", ""), reference.get("fieldPath", "")
    if not api_version:
        yield required(f"{path}.apiVersion")
        return
    if not field_path:
        yield required(f"{path}.fieldPath")
        return
    problem = _conversion_problem(api_version, field_path)
    if problem:
        yield invalid(f"{path}.fieldPath", field_path, f"error converting fieldPath: {problem}")
        return
    base, subscript = _split_subscript(field_path)
    if subscript is not None:
        # Annotation keys are matched without regard to case, label keys are not.
        yield from qualified_name(path, subscript.lower() if base == "metadata.annotations" else subscript)
        return
    internal = "spec.nodeName" if field_path == "spec.host" else field_path
    if internal not in supported:
        yield not_supported(f"{path}.fieldPath", internal, supported)


def _conversion_problem(api_version: str, field_path: str) -> str:
    if api_version != "v1":
        return f"unsupported pod version: {api_version}"
    base, subscript = _split_subscript(field_path)
    if subscript is not None:
        subscripted = base in ("metadata.annotations", "metadata.labels")
        return "" if subscripted else f"field label does not support subscript: {field_path}"
    if field_path in _CONVERTIBLE_FIELDS or field_path == "spec.host":
        return ""
    return f"field label not supported: {field_path}"


def _split_subscript(field_path: str) -> tuple[str, str | None]:
    """`metadata.labels['app']` as (`metadata.labels`, `app`). Upstream: pkg/fieldpath/fieldpath.go @v1.36"""
    if field_path.endswith("']"):
        base, bracket, subscript = field_path[:-2].partition("['")
        if base and bracket:
            return base, subscript
    return field_path, None


def validate_resource_field_ref(reference: Object, path: str, *, in_volume: bool) -> Iterator[Cause]:
    """A reference to a resource of a container; in a volume the container must be named."""
    resource = reference.get("resource", "")
    if in_volume and not reference.get("containerName"):
        yield required(f"{path}.containerName")
    elif not resource:
        yield required(f"{path}.resource")
    elif resource not in _RESOURCES and not resource.startswith(_HUGE_PAGES):
        yield not_supported(f"{path}.resource", resource, _RESOURCES)
    yield from _divisor(resource, reference.get("divisor", "0"), f"{path}.divisor")


def _divisor(resource: str, divisor: str, path: str) -> Iterator[Cause]:
    if quantity.parse(divisor).nano == 0:
        return
    divisor = quantity.canonical(divisor)
    if resource in ("limits.cpu", "requests.cpu"):
        if divisor not in ("1m", "1"):
            yield invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource")
        return
    if resource in ("limits.memory", "requests.memory"):
        what = "memory"
    elif resource in ("limits.ephemeral-storage", "requests.ephemeral-storage"):
        what = "local ephemeral storage"
    elif resource.startswith(_HUGE_PAGES):
        what = "hugepages"
    else:
        return
    if divisor not in _BYTE_DIVISORS:
        choices = ", ".join(_BYTE_DIVISORS)
        yield invalid(path, resource, f"only divisor's values {choices} are supported with the {what} resource")


def _object_key(reference: Object, path: str) -> Iterator[Cause]:
    yield from dns_subdomain(f"{path}.name", reference.get("name", ""))
    key = reference.get("key", "")
    if not key:
        yield required(f"{path}.key")
    else:
        yield from check(f"{path}.key", key, names.config_map_key(key))


def _file_key(reference: Object, path: str) -> Iterator[Cause]:
    key, volume, file_path = reference.get("key", ""), reference.get("volumeName", ""), reference.get("path", "")
    if not key:
        yield required(f"{path}.key")
    else:
        yield from check(f"{path}.key", key, names.env_var_name(key))
    if not volume:
        yield required(f"{path}.volumeName")
    else:
        yield from dns_label(f"{path}.volumeName", volume)
    if not file_path:
        yield required(f"{path}.path")
    else:
        yield from no_backsteps(f"{path}.path", file_path)


def validate_env_from(sources: Sequence[Object], path: str) -> Iterator[Cause]:
    """The `envFrom` list of a container."""
    for index, source in enumerate(sources):
        prefix = source.get("prefix", "")
        if prefix:
            yield from check(f"{path}[{index}].prefix", prefix, names.env_var_name(prefix))
        present = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        for kind in present:
            name = source[kind].get("name", "")
            at = f"{path}[{index}].{kind}.name"
            if not name:
                yield required(at)
            else:
                # Upstream checks the name as a prefix of one, so a trailing dash passes.
                yield from check(at, name, names.dns_1123_subdomain(names.generated_prefix(name)))
        if not present:
            yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(present) > 1:
            yield invalid(path, "", "may not have more than one field specified at a time")
