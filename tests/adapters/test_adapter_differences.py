"""What `diff` shows of two versions of an object, and the order of applying."""

from __future__ import annotations

import io

from adapters.commands.kind import images_of
from adapters.difference import difference_lines
from adapters.order import in_dependency_order
from kubesim.manifests import load


def test_a_change_is_shown_by_its_path():
    """The server's own bookkeeping is no change."""
    before = {
        "kind": "Deployment",
        "metadata": {"name": "x", "resourceVersion": "1"},
        "spec": {"replicas": 1, "a": [1, 2]},
    }
    after = {
        "kind": "Deployment",
        "metadata": {"name": "x", "resourceVersion": "2"},
        "spec": {"replicas": 3, "a": [1, 5]},
    }

    assert list(difference_lines(before, after)) == [
        "  - spec.replicas: 1",
        "  + spec.replicas: 3",
        "  - spec.a[1]: 2",
        "  + spec.a[1]: 5",
    ]
    assert list(difference_lines(before, {**before, "metadata": after["metadata"], "status": {"x": 1}})) == []


def test_no_secret_is_shown():
    """Its keys are, its values are not."""
    secret = {"kind": "Secret", "metadata": {"name": "x"}, "data": {"password": "aHVudGVyMg=="}}

    shown = "\n".join(difference_lines(None, secret))

    assert "password" in shown
    assert "aHVudGVyMg" not in shown


def test_a_secret_that_changes_is_shown_as_changed():
    """Only its values are not."""
    before = {"kind": "Secret", "metadata": {"name": "x"}, "data": {"password": "b2xk", "user": "bWU="}}
    after = {**before, "data": {"password": "bmV3", "user": "bWU="}}

    assert list(difference_lines(before, after)) == [
        '  - data.password: "(not shown)"',
        '  + data.password: "(not shown)"',
    ]


def test_what_others_need_comes_first():
    """The namespace before all, workloads last, otherwise as in the file."""
    kinds = (("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "ConfigMap"), ("v1", "Namespace"))
    pod = "{containers: [{name: c, image: i}]}"
    template = f"{{selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {pod}}}}}"
    specs = {"Deployment": template, "Service": "{ports: [{port: 80}]}"}
    text = "\n---\n".join(
        f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n"
        + (f"spec: {specs[kind]}\n" if kind in specs else "")
        for version, kind in kinds
    )
    manifests = in_dependency_order(load("-", stdin=io.StringIO(text), namespace="there"))

    assert [manifest.kind.kind for manifest in manifests] == ["Namespace", "ConfigMap", "Service", "Deployment"]
    assert manifests[1].object["metadata"]["namespace"] == "there"
    assert images_of(manifests) == ["i"]
