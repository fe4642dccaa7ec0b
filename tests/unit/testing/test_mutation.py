"""The detector of changes in place, by changing things in place."""

from __future__ import annotations

import pytest

from kubesim.api.objects import Key
from kubesim.store.log import Store
from kubesim.testing.mutation import no_mutations


@pytest.fixture
def no_changes_in_place():
    """Here they are made on purpose."""


def stored(store):
    obj = {"kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, "spec": {"containers": [{"image": "app"}]}}
    return store.write("pods", Key("default", "a"), obj, None)


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda pod: pod["spec"].update(nodeName="node-1"), r"spec.nodeName was None and is 'node-1'"),
        (
            lambda pod: pod["spec"]["containers"][0].update(image="b"),
            r"spec.containers\[0\].image was 'app' and is 'b'",
        ),
        (lambda pod: pod["spec"]["containers"].append({}), r"spec.containers was \[.*\] and is \[.*\]"),
        (lambda pod: pod["metadata"].update(name=pod["metadata"].pop("name")), "the order of its fields"),
    ],
    ids=["a field added", "a field deep inside", "a list made longer", "fields in another order"],
)
def test_a_change_in_place_is_named(change, text):
    """The object, its revision and the first field that differs."""
    head = "1 stored objects were changed in place:\nPod default/a of revision 1: "
    with pytest.raises(AssertionError, match=head + text), no_mutations():
        change(stored(Store()))


def test_a_new_object_with_shared_parts_is_no_change():
    """That is how objects are meant to change."""
    with no_mutations():
        store = Store()
        old = stored(store)
        new = store.write("pods", Key("default", "a"), {**old, "status": {"phase": "Running"}}, old)
        store.delete("pods", Key("default", "a"), new)

    assert new["spec"] is old["spec"]


def test_the_last_state_of_a_deleted_object_counts_too():
    """Watches hand it out like any other."""
    store = Store()
    last = stored(store)
    with pytest.raises(AssertionError, match=r"of revision 2: spec\.nodeName"), no_mutations():
        store.delete("pods", Key("default", "a"), last)["spec"] = {**last["spec"], "nodeName": "x"}


def test_a_failure_in_the_block_is_the_one_that_shows():
    """The detector does not hide why a test failed."""
    with pytest.raises(KeyError, match="missing"), no_mutations():
        stored(Store())["spec"].update(x=1, y={}["missing"])
