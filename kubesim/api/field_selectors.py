"""Field selectors: `metadata.name=web,spec.nodeName!=node-1`, and which fields each kind lets one select by.

Upstream: apimachinery/pkg/fields/selector.go, the AddFieldLabelConversionFunc of each group, and ToSelectableFields of
each registry's strategy.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.api.selectors import SelectorError

Getter = Callable[[Object], str]

_OPERATORS = ("!=", "==", "=")
_NAME, _NAMESPACE = "metadata.name", "metadata.namespace"


class FieldRequirement(NamedTuple):
    """`field` equals `value`, or differs from it where `equal` is False."""

    field: str
    equal: bool
    value: str


class FieldSelector(NamedTuple):
    """A parsed selector: its requirements in the order of their text, and the predicate over objects of its kind."""

    requirements: tuple[FieldRequirement, ...]
    matches: Callable[[Object], bool]

    def exact(self, field: str) -> str | None:
        """The only value that `field` may have, or None: what an index can answer."""
        for requirement in self.requirements:
            if requirement.equal and requirement.field == field:
                return requirement.value
        return None


def _at(path: str, default: str = "") -> Getter:
    """The value at a dotted path as text; `default` where it is absent."""
    parts = path.split(".")

    def value_at(obj: Object) -> str:
        value: object = obj
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    return value_at


def _pod_ip(pod: Object) -> str:
    addresses = pod.get("status", {}).get("podIPs") or ()
    return str(addresses[0].get("ip", "")) if addresses else ""


def _event_source(event: Object) -> str:
    component = (event.get("source") or event.get("deprecatedSource") or {}).get("component")
    return str(component or event.get("reportingComponent") or event.get("reportingController") or "")


def _paths(*fields: str) -> dict[str, Getter]:
    return {field: _at(field) for field in fields}


_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_META = _paths(_NAME, _NAMESPACE)
_SIGNER = _paths(_NAME, "spec.signerName")

_FIELDS: Mapping[str, Mapping[str, Getter]] = {
    "pods": {
        **_META,
        **_paths("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName"),
        **_paths("status.phase", "status.nominatedNodeName"),
        "spec.host": _at("spec.nodeName"),
        "spec.hostNetwork": _at("spec.hostNetwork", "false"),
        "status.podIP": _pod_ip,
        # Upstream lets one ask for it but never gives it a value.
        "status.podIPs": lambda _pod: "",
    },
    "nodes": {**_paths(_NAME), "spec.unschedulable": _at("spec.unschedulable", "false")},
    "replicationcontrollers": {**_META, "status.replicas": _at("status.replicas", "0")},
    "events": {
        **_META,
        **_paths(*(f"involvedObject.{part}" for part in _REFERENCE), "reason", "reportingComponent", "type"),
        "source": _event_source,
    },
    "events.events.k8s.io": {
        **_META,
        **_paths(*(f"regarding.{part}" for part in _REFERENCE), "reason", "reportingController", "type"),
    },
    "namespaces": _paths(_NAME, "status.phase"),
    "secrets": {**_META, **_paths("type")},
    "services": {**_META, **_paths("spec.clusterIP", "spec.type")},
    "jobs.batch": {**_META, "status.successful": _at("status.succeeded", "0")},
    "certificatesigningrequests.certificates.k8s.io": _SIGNER,
    "clustertrustbundles.certificates.k8s.io": _SIGNER,
    "podcertificaterequests.certificates.k8s.io": {**_SIGNER, **_paths("spec.podName", "spec.nodeName")},
    "resourceslices.resource.k8s.io": _paths(_NAME, "spec.nodeName", "spec.driver"),
}
_RENAMED = {("pods", "spec.host"): "spec.nodeName"}


def _unsupported(kind: Kind, field: str) -> str:
    if kind.resource not in _FIELDS:
        return f'"{field}" is not a known field selector: only "{_NAME}", "{_NAMESPACE}"'
    if kind.resource == "jobs.batch":
        return f'field label "{field}" not supported for Job'
    if kind.resource == "resourceslices.resource.k8s.io":
        return f"field label not supported for {kind.api_version}, Kind={kind.kind}: {field}"
    return f"field label not supported: {field}"


def _split_terms(text: str) -> list[str]:
    """The terms between commas; a backslash keeps the comma behind it and stays for `_unescape`."""
    terms, start, escaped = [], 0, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:at])
            start = at + 1
    return [*terms, text[start:]]


def _unescape(value: str) -> str:
    chars: list[str] = []
    escaped = False
    for char in value:
        if escaped:
            if char not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
            chars.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            chars.append(char)
    if escaped:
        raise SelectorError("invalid field selector: invalid escape sequence: \\")
    return "".join(chars)


def _split_term(term: str) -> tuple[str, str, str] | None:
    for at in range(len(term)):
        for operator in _OPERATORS:
            if term.startswith(operator, at):
                return term[:at], operator, term[at + len(operator) :]
    return None


def parse_field_requirements(text: str) -> tuple[FieldRequirement, ...]:
    """The requirements that `text` writes, in the order of their text.

    Raises:
        SelectorError: with upstream's text.

    Upstream: fields/selector.go:ParseSelector @v1.36
    """
    requirements = []
    for term in sorted(_split_terms(text)):
        if not term:
            continue
        parts = _split_term(term)
        if parts is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = parts
        requirements.append(FieldRequirement(field, operator != "!=", _unescape(value)))
    return tuple(requirements)


@lru_cache(4096)
def parse_field_selector(kind: Kind, text: str) -> FieldSelector:
    """The selector over objects of `kind`, in the version of `kind`; the empty text selects everything.

    Raises:
        SelectorError: a text that cannot be parsed, or a field that the kind does not let one select by.
    """
    getters = _FIELDS.get(kind.resource, _META)
    requirements = []
    tests: list[tuple[Getter, bool, str]] = []
    for requirement in parse_field_requirements(text):
        field, equal, value = requirement
        if field not in getters:
            raise SelectorError(_unsupported(kind, field))
        requirements.append(requirement._replace(field=_RENAMED.get((kind.resource, field), field)))
        tests.append((getters[field], equal, value))

    def holds_all(obj: Object) -> bool:
        for getter, equal, value in tests:  # noqa: SIM110 - a generator would double the cost
            if (getter(obj) == value) is not equal:
                return False
        return True

    return FieldSelector(tuple(requirements), holds_all)
