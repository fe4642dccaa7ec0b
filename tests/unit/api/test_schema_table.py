"""The schema table: facts that patch writers and checks rely on, and its making."""

from __future__ import annotations

import json
import time

import pytest

from kubesim.api import schema
from kubesim.api.schema.generate import build
from kubesim.api.schema.table import Field, _Table, _table

CORE = "io.k8s.api.core.v1."


@pytest.mark.parametrize(
    ("definition", "name", "expected"),
    [
        (
            CORE + "PodSpec",
            "containers",
            Field(
                "array",
                items="object",
                items_ref=CORE + "Container",
                list_type="map",
                map_keys=("name",),
                patch_strategy="merge",
                merge_key="name",
                required=True,
                go_type="[]v1.Container",
                presence="z",
            ),
        ),
        (
            CORE + "Container",
            "ports",
            Field(
                "array",
                items="object",
                items_ref=CORE + "ContainerPort",
                list_type="map",
                map_keys=("containerPort", "protocol"),
                patch_strategy="merge",
                merge_key="containerPort",
                go_type="[]v1.ContainerPort",
            ),
        ),
        (CORE + "ContainerPort", "containerPort", Field("int32", required=True, go_type="int32", presence="z")),
        (CORE + "PodSpec", "restartPolicy", Field("string", go_type="v1.RestartPolicy")),
        (CORE + "PodSpec", "terminationGracePeriodSeconds", Field("int64", go_type="int64", presence="p")),
        (
            CORE + "PodSpec",
            "nodeSelector",
            Field("map", items="string", map_type="atomic", go_type="map[string]string"),
        ),
        (CORE + "ResourceRequirements", "requests", Field("map", items="quantity", go_type="v1.ResourceList")),
        (CORE + "ServicePort", "targetPort", Field("int-or-string", go_type="int32", presence="z")),
        (CORE + "Secret", "data", Field("map", items="bytes", go_type="map[string][]uint8")),
        (CORE + "ConfigMap", "immutable", Field("boolean", go_type="bool", presence="p")),
        (
            "io.k8s.api.apps.v1.DeploymentSpec",
            "selector",
            Field(
                "object",
                ref="io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
                map_type="atomic",
                required=True,
                go_type="v1.LabelSelector",
                presence="z",
            ),
        ),
        (
            "io.k8s.api.apps.v1.DeploymentSpec",
            "strategy",
            Field(
                "object",
                ref="io.k8s.api.apps.v1.DeploymentStrategy",
                patch_strategy="retainKeys",
                go_type="v1.DeploymentStrategy",
                presence="z",
            ),
        ),
        ("io.k8s.api.apps.v1.ControllerRevision", "data", Field("any", go_type="any", presence="z")),
        ("io.k8s.api.coordination.v1.LeaseSpec", "renewTime", Field("microtime", go_type="string", presence="p")),
        (
            "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
            "creationTimestamp",
            Field("time", go_type="string", presence="p"),
        ),
        (CORE + "PodSpec", "nosuch", None),
        ("io.k8s.api.core.v1.NoSuch", "spec", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_field_has_upstream_annotations(definition, name, expected):
    """A field says what swagger.json and the Go types of v1.36.3 say about it."""
    assert schema.field(definition, name) == expected


def test_merge_keys_are_those_of_merged_lists_only():
    """A list that a strategic merge replaces as a whole has no merge key."""
    assert schema.merge_key(CORE + "PodSpec", "volumes") == "name"
    assert schema.merge_key(CORE + "ServiceSpec", "ports") == "port"
    assert schema.merge_key(CORE + "Container", "command") == ""
    assert schema.merge_key(CORE + "Container", "nosuch") == ""


def test_definitions_know_their_required_fields_and_map_type():
    """`required` and an atomic struct are facts of the definition itself."""
    selector = schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector")

    assert selector is not None
    assert selector.map_type == "atomic"
    assert schema.definition("io.k8s.api.apps.v1.DeploymentSpec").required == ("selector", "template")
    assert schema.definition("io.k8s.apimachinery.pkg.api.resource.Quantity") is None


def test_every_reference_leads_somewhere():
    """No field refers to a definition that is not in the table."""
    dangling = [
        (name, key)
        for name in _table().names
        for key, field in schema.fields(name).items()
        for ref in (field.ref, field.items_ref)
        if ref and schema.definition(ref) is None
    ]

    assert dangling == []


def test_fields_cannot_be_changed():
    """A field is shared by everyone, so it is immutable."""
    with pytest.raises(AttributeError):
        schema.field(CORE + "PodSpec", "containers").required = False


def test_generator_is_a_function_of_its_input():
    """The same document gives the same text, in alphabetical order, without prose."""
    swagger = {
        "definitions": {
            "io.k8s.api.x.v1.B": {
                "properties": {"z": {"type": "string"}, "a": {"$ref": "#/definitions/io.k8s.api.x.v1.A"}}
            },
            "io.k8s.api.x.v1.A": {
                "description": "prose",
                "required": ["n"],
                "properties": {"n": {"type": "integer", "format": "int32", "description": "prose"}},
            },
        }
    }

    text = build(swagger, {"io.k8s.api.x.v1.B": {"z": ("v1.Colour", "z")}})

    assert text == build(swagger, {"io.k8s.api.x.v1.B": {"z": ("v1.Colour", "z")}})
    assert json.loads(text) == {
        "names": ["io.k8s.api.x.v1.A", "io.k8s.api.x.v1.B"],
        "rows": [{"f": {"n": "i"}, "r": ["n"]}, {"f": {"a": "o0", "z": ["s", "", "", "", "", "", "v1.Colour", "z"]}}],
    }


def test_first_use_is_quick():
    """Reading the table's frame stays within the start-up budget, with room for a slow machine."""
    start = time.perf_counter()
    _Table()

    assert time.perf_counter() - start < 0.05
