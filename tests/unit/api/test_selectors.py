"""Selectors against what Go's labels, fields and nodeaffinity packages say (tests/unit/api/facts/selectors.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubesim.api import selectors
from kubesim.api.field_selectors import FieldRequirement, parse_field_requirements, parse_field_selector
from kubesim.api.scheme import Kind
from kubesim.api.selector_syntax import parse_label_selector

FACTS: Any = json.loads((Path(__file__).parent / "facts" / "selectors.json").read_text())
LABELS: list[dict[str, str]] = FACTS["labels"]

POD = Kind("", "v1", "Pod", "pods", namespaced=True, schema="Pod")
NODE = Kind("", "v1", "Node", "nodes", namespaced=False, schema="Node")
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False, schema="Namespace")
EVENT = Kind("", "v1", "Event", "events", namespaced=True, schema="Event")
JOB = Kind("batch", "v1", "Job", "jobs", namespaced=True, schema="Job")
SLICE = Kind("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", namespaced=False, schema="ResourceSlice")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", namespaced=True, schema="ConfigMap")


@pytest.mark.parametrize(("text", "printed", "outcome"), FACTS["rows"]["texts"])
def test_the_string_form_parses_as_in_go(text: str, printed: str, outcome: Any) -> None:
    """Each text matches the same labels, or fails with the same error."""
    if printed == "error":
        with pytest.raises(selectors.SelectorError) as caught:
            parse_label_selector(text)
        assert str(caught.value) == outcome
        return

    selector = parse_label_selector(text)

    assert [selector.matches(labels) for labels in LABELS] == outcome
    assert ",".join(map(str, selector.requirements)) == printed


@pytest.mark.parametrize(("selector", "printed", "outcome"), FACTS["rows"]["selectors"])
def test_the_object_form_selects_as_in_go(selector: Any, printed: str, outcome: Any) -> None:
    """LabelSelectorAsSelector and FormatLabelSelector agree."""
    if isinstance(outcome, str):
        with pytest.raises(selectors.SelectorError) as caught:
            selectors.compile_selector(selector)
        assert str(caught.value) == outcome
    else:
        assert [selectors.compile_selector(selector)(labels) for labels in LABELS] == outcome
    assert selectors.format_selector(selector) == printed


@pytest.mark.parametrize(("term", "outcome"), FACTS["rows"]["terms"])
def test_a_node_selector_term_matches_the_nodes_that_go_matches(term: Any, outcome: list[bool]) -> None:
    """A term of required node affinity over labels and the name of node-1."""
    selector = {"nodeSelectorTerms": [term]}

    assert [selectors.matches_node_selector(selector, labels, "node-1") for labels in LABELS] == outcome


@pytest.mark.parametrize(("text", "kind", "outcome"), FACTS["rows"]["fields"])
def test_a_field_selector_parses_as_in_go(text: str, kind: str, outcome: Any) -> None:
    """Terms are sorted, escapes undone, and errors read as upstream's."""
    if kind == "error":
        with pytest.raises(selectors.SelectorError) as caught:
            parse_field_requirements(text)
        assert str(caught.value) == outcome
        return

    assert parse_field_requirements(text) == tuple(FieldRequirement(f, op == "=", value) for f, op, value in outcome)


def test_an_absent_selector_selects_nothing_and_an_empty_one_everything() -> None:
    """The rule of LabelSelectorAsSelector."""
    assert not selectors.compile_selector(None)({"app": "web"})
    assert selectors.compile_selector({})({})
    assert selectors.format_selector(None) == "<none>"
    assert selectors.compile_match_labels(None)({})
    assert selectors.compile_match_labels({"app": "web"})({"app": "web", "x": "y"})


def test_one_selector_object_is_compiled_once() -> None:
    """The cache goes by identity, and equal selectors of two objects do not disturb each other."""
    first, second = {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "web"}}

    assert selectors.compile_selector(first) is selectors.compile_selector(first)
    assert selectors.compile_selector(second)({"app": "web"})


def test_any_term_of_a_node_selector_suffices() -> None:
    """Terms are alternatives, and an invalid one only fails to help."""
    selector = {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": "Nope"}]},
            {"matchExpressions": [{"key": "zone", "operator": "Exists"}]},
        ]
    }

    assert selectors.matches_node_selector(selector, {"zone": "a"}, "n")
    assert not selectors.matches_node_selector(selector, {}, "n")
    assert not selectors.matches_node_selector({}, {}, "n")


@pytest.mark.parametrize(
    ("kind", "text", "obj", "matches"),
    [
        (POD, "spec.nodeName=", {"metadata": {}, "spec": {}}, True),
        (POD, "spec.nodeName!=", {"metadata": {}, "spec": {"nodeName": "n1"}}, True),
        (POD, "spec.host=n1", {"metadata": {}, "spec": {"nodeName": "n1"}}, True),
        (POD, "spec.hostNetwork=false", {"metadata": {}, "spec": {}}, True),
        (POD, "spec.hostNetwork=true", {"metadata": {}, "spec": {"hostNetwork": True}}, True),
        (POD, "status.podIP=10.0.0.1", {"status": {"podIPs": [{"ip": "10.0.0.1"}]}}, True),
        (POD, "status.podIP=10.0.0.1", {}, False),
        (POD, "status.podIPs=", {"status": {"podIPs": [{"ip": "10.0.0.1"}]}}, True),
        (
            POD,
            "status.phase=Running,metadata.name=a",
            {"metadata": {"name": "a"}, "status": {"phase": "Failed"}},
            False,
        ),
        (NODE, "spec.unschedulable=false", {"spec": {}}, True),
        (JOB, "status.successful=0", {"status": {}}, True),
        (JOB, "status.successful=2", {"status": {"succeeded": 2}}, True),
        (EVENT, "source=kubelet", {"source": {}, "reportingComponent": "kubelet"}, True),
        (EVENT, "involvedObject.kind=Pod", {"involvedObject": {"kind": "Pod"}}, True),
        (CONFIG_MAP, "metadata.namespace=", {"metadata": {"name": "a"}}, True),
    ],
)
def test_fields_have_the_values_of_the_registry(kind: Kind, text: str, obj: Any, matches: bool) -> None:
    """ToSelectableFields of each registry, with Go's zero values for absent fields."""
    assert parse_field_selector(kind, text).matches(obj) is matches


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (POD, "field label not supported: spec.foo"),
        (NODE, "field label not supported: spec.foo"),
        (JOB, 'field label "spec.foo" not supported for Job'),
        (SLICE, "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.foo"),
        (CONFIG_MAP, '"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    ],
)
def test_a_field_that_the_kind_does_not_offer_is_refused(kind: Kind, message: str) -> None:
    """The text of the kind's conversion function."""
    with pytest.raises(selectors.SelectorError) as caught:
        parse_field_selector(kind, "spec.foo=1")

    assert str(caught.value) == message


def test_a_namespace_cannot_be_selected_by_its_namespace() -> None:
    """AddFieldLabelConversionsForNamespace knows only status.phase and metadata.name."""
    with pytest.raises(selectors.SelectorError):
        parse_field_selector(NAMESPACE, "metadata.namespace=x")


def test_an_exact_field_can_be_answered_by_an_index() -> None:
    """Only equality pins a field, and an old name stands for the new one."""
    selector = parse_field_selector(POD, "spec.host=n1,metadata.name!=x")

    assert selector.exact("spec.nodeName") == "n1"
    assert selector.exact("metadata.name") is None
