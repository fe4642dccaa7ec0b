"""ObjectMeta on its own: names by kind, sizes, and what an update must leave alone.

Texts recorded from Kubernetes 1.36.3, or from apimachinery/pkg/api/validation/objectmeta.go where one is cited.
"""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.api import kinds
from kubesim.api.scheme import Kind
from kubesim.api.validation.metadata import validate_object_meta, validate_object_meta_update

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def _metadata(**fields: Any) -> dict[str, Any]:
    return {"name": "one", "namespace": "default", **fields}


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (kinds.CONFIG_MAP, "a.b-1", ""),
        (kinds.CONFIG_MAP, "A_b", f'Invalid value: "A_b": {SUBDOMAIN}'),
        (kinds.CONFIG_MAP, "a" * 254, f'Invalid value: "{"a" * 254}": must be no more than 253 characters'),
        (kinds.STATEFUL_SET, "a.b", 'Invalid value: "a.b": must not contain dots'),
        (kinds.SERVICE, "1st", ""),
        (kinds.SERVICE, "a.b", 'Invalid value: "a.b": must not contain dots'),
        (kinds.ROLE, "System:A_b", ""),
        (kinds.ROLE, "a/b", "Invalid value: \"a/b\": may not contain '/'"),
        (kinds.EVENT, "A_b", ""),
        (kinds.POD_DISRUPTION_BUDGET, "..", "Invalid value: \"..\": may not be '..'"),
    ],
)
def test_a_name_has_the_form_that_its_kind_asks_for(kind: Kind, name: str, message: str) -> None:
    """Subdomain for most, label for what ends up in DNS, path segment for RBAC, budgets and core events."""
    causes = validate_object_meta(kind, _metadata(name=name))

    assert [cause.message for cause in causes] == ([message] if message else [])


def test_a_prefix_that_cannot_become_a_name_is_told_with_the_name() -> None:
    """Both generateName, its end masked, and the name that was generated are refused."""
    causes = validate_object_meta(kinds.CONFIG_MAP, _metadata(generateName="A_-", name="A_-kqcmr"))

    assert [(cause.field, cause.message) for cause in causes] == [
        ("metadata.generateName", f'Invalid value: "A_-": {SUBDOMAIN}'),
        ("metadata.name", f'Invalid value: "A_-kqcmr": {SUBDOMAIN}'),
    ]


def test_a_prefix_may_end_in_a_dash() -> None:
    """The suffix mends it."""
    assert validate_object_meta(kinds.POD, _metadata(generateName="web-", name="web-x2k8f")) == []


def test_a_name_or_a_prefix_is_required() -> None:
    """Neither given."""
    (cause,) = validate_object_meta(kinds.CONFIG_MAP, {"namespace": "default"})

    assert cause == ("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")


@pytest.mark.parametrize(
    ("kind", "namespace", "message"),
    [
        (kinds.POD, "", "Required value"),
        (kinds.NODE, "default", "Forbidden: not allowed on this type"),
        (kinds.NODE, "", ""),
    ],
)
def test_a_namespace_is_for_namespaced_kinds(kind: Kind, namespace: str, message: str) -> None:
    """objectmeta.go:validateObjectMetaAccessorWithOptsCommon."""
    causes = validate_object_meta(kind, _metadata(namespace=namespace))

    assert [cause.message for cause in causes] == ([message] if message else [])


@pytest.mark.parametrize(("size", "count"), [(262143, 0), (262144, 1)])
def test_annotations_have_256_kib_together(size: int, count: int) -> None:
    """Keys count as well: one byte of key and `size` of value."""
    causes = validate_object_meta(kinds.CONFIG_MAP, _metadata(annotations={"a": "x" * size}))

    expected = ("FieldValueTooLong", "metadata.annotations", "Too long: may not be more than 262144 bytes")
    assert causes == [expected] * count


def test_annotations_are_measured_in_bytes() -> None:
    """A letter of two bytes counts twice."""
    assert validate_object_meta(kinds.CONFIG_MAP, _metadata(annotations={"a": "ö" * 131072}))
    assert not validate_object_meta(kinds.CONFIG_MAP, _metadata(annotations={"a": "ö" * 131071}))


def test_managers_have_an_operation_and_a_short_name() -> None:
    """apimachinery/pkg/apis/meta/v1/validation/validation.go:ValidateManagedFields."""
    entries = [{"operation": "Patch", "fieldsType": "FieldsV2", "manager": "m" * 129, "subresource": "s" * 257}]

    causes = validate_object_meta(kinds.CONFIG_MAP, _metadata(managedFields=entries))

    assert [(cause.field.rpartition(".")[2], cause.message) for cause in causes] == [
        ("operation", 'Invalid value: "Patch": must be `Apply` or `Update`'),
        ("fieldsType", 'Invalid value: "FieldsV2": must be `FieldsV1`'),
        ("manager", "Too long: may not be more than 128 bytes"),
        ("subresource", "Too long: may not be more than 256 bytes"),
    ]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"name": "two"}, "metadata.name", 'Invalid value: "two": field is immutable'),
        ({"namespace": "other"}, "metadata.namespace", 'Invalid value: "other": field is immutable'),
        ({"uid": "v"}, "metadata.uid", 'Invalid value: "v": field is immutable'),
        ({"generation": 1}, "metadata.generation", "Invalid value: 1: must not be decremented"),
        ({"resourceVersion": ""}, "metadata.resourceVersion", 'Invalid value: "": must be specified for an update'),
        (
            {"deletionGracePeriodSeconds": 5},
            "metadata.deletionGracePeriodSeconds",
            "Invalid value: 5: field is immutable",
        ),
    ],
)
def test_an_update_leaves_identity_alone(change: dict[str, Any], field: str, message: str) -> None:
    """Each is told by the registry and by the kind: objectmeta.go:ValidateObjectMetaAccessorUpdate."""
    old = _metadata(uid="u", generation=2, resourceVersion="7")

    causes = validate_object_meta_update(kinds.DEPLOYMENT, {**old, **change}, old)

    assert causes == [("FieldValueInvalid", field, message)] * 2


def test_a_finalizer_may_be_taken_away_while_the_object_goes() -> None:
    """Only new ones are refused."""
    old = _metadata(resourceVersion="7", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a.b/c", "a.b/d"])

    assert validate_object_meta_update(kinds.POD, {**old, "finalizers": ["a.b/d"]}, old) == []
