"""Ownership of fields: the algebra of field sets, and what holds whatever is written by whomever."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.api.ownership import field_sets
from kubesim.api.ownership.comparing import compare, fields_of
from kubesim.api.ownership.managers import (
    NOBODY,
    ApplyConflictError,
    Structure,
    Writer,
    after_apply,
    after_update,
)
from kubesim.api.ownership.wire import decode, encode

DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"
VERSION = "apps/v1"
STRUCTURE = Structure(DEPLOYMENT, field_sets.EMPTY)
NOW = "2026-01-01T00:00:00Z"
_IGNORED = ("f:apiVersion", "f:kind", "f:metadata")

# --- the algebra ---

elements = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', "v:1"])
paths = st.lists(elements, min_size=1, max_size=3).map(tuple)
models = st.frozensets(paths, max_size=6)


def _set(model):
    return field_sets.of_paths(sorted(model))


def _model(fields):
    return frozenset(field_sets.paths_of(fields))


@settings(max_examples=60, deadline=None)
@given(models, models)
def test_field_sets_behave_as_sets_of_paths(first, second):
    """Union, difference and intersection are those of sets, whatever shape the trees have."""
    one, other = _set(first), _set(second)

    assert _model(one) == first
    assert _model(field_sets.union(one, other)) == first | second
    assert _model(field_sets.difference(one, other)) == first - second
    assert _model(field_sets.intersection(one, other)) == first & second
    below = {path for path in first if any(path[: len(gone)] == gone for gone in second)}
    assert _model(field_sets.without(one, other)) == first - below
    assert all(field_sets.has(one, path) for path in first)


@settings(max_examples=60, deadline=None)
@given(models)
def test_a_set_is_read_as_it_is_written(model):
    """What the API writes of a set, sorted, is the same set when it comes back."""
    fields = field_sets.in_order(_set(model))

    assert _model(field_sets.parse(fields)) == model


@pytest.mark.parametrize(
    "fields",
    [
        "f:a",
        [1],
        {"": {}},
        {"x": {}},
        {"f:a": 1},
        {"k:{": {}},
        {"k:1": {}},
        {"f:a": {"v:": {}}},
        {"i:one": {}},
        {"i: 1": {}},
        {"i:" + 99 * "9": {}},
    ],
)
def test_what_is_no_set_is_refused(fields):
    """An element without a kind, a value that is no tree, keys that are no JSON object, an index that is no number:
    nothing is read from it."""
    assert field_sets.parse(fields) is None


def test_values_of_all_kinds_have_an_order():
    """A client may send any JSON as the value of an item."""
    values = ["1", '"a"', "true", "[1]", '{"a":1}', '{"b":1}', "null"]
    fields = field_sets.parse({f"v:{value}": {} for value in reversed(values)})

    assert fields is not None
    assert list(field_sets.in_order(fields)) == [f"v:{value}" for value in values]


def test_elements_of_kinds_that_there_are_not_are_dropped():
    """A later version may know more; the rest is taken."""
    assert field_sets.parse({"f:a": {}, "z:b": {}}) == {"f:a": {}}


def test_paths_read_as_in_messages():
    """Names with dots, keys in brackets, values with an equals sign."""
    path = ("f:spec", 'k:{"containerPort":80,"protocol":"TCP"}', "f:name")

    assert field_sets.text_of(path) == '.spec[containerPort=80,protocol="TCP"].name'
    assert field_sets.text_of(("f:finalizers", 'v:"a"')) == '.finalizers[="a"]'


def test_keys_are_in_the_order_of_their_values():
    """Numbers by value, not by their letters."""
    fields = {f'k:{{"port":{port}}}': {} for port in (8080, 443, 80)}

    assert list(field_sets.in_order(fields)) == ['k:{"port":80}', 'k:{"port":443}', 'k:{"port":8080}']


# --- what holds for every sequence of writes ---

names = st.sampled_from(["a", "b", "c"])
values = st.sampled_from(["1", "2"])
texts = st.dictionaries(names, values, max_size=3)
ports = st.lists(st.sampled_from([80, 443]), unique=True, max_size=2)


@st.composite
def deployments(draw):
    """A Deployment of a few labels, and containers with variables, ports and an atomic list."""
    containers = []
    for name in draw(st.lists(names, unique=True, min_size=1, max_size=2)):
        container = {"name": name, "image": draw(values)}
        variables = draw(texts)
        if variables:
            container["env"] = [{"name": key, "value": value} for key, value in variables.items()]
        numbers = draw(ports)
        if numbers:
            container["ports"] = [{"containerPort": number, "protocol": "TCP"} for number in numbers]
        command = draw(st.lists(values, max_size=2))
        if command:
            container["command"] = command
        containers.append(container)
    metadata = {"name": "d", **({"labels": labels} if (labels := draw(texts)) else {})}
    finalizers = draw(st.lists(names, unique=True, max_size=2))
    if finalizers:
        metadata["finalizers"] = finalizers
    spec = {"replicas": draw(st.integers(0, 2)), "template": {"spec": {"containers": containers}}}
    return {"apiVersion": VERSION, "kind": "Deployment", "metadata": metadata, "spec": spec}


managers = st.sampled_from(["one", "two", "three"])


def _apply(owners, live, config, manager, *, force=False):
    return after_apply(owners, live, config, Writer(manager, VERSION), NOW, STRUCTURE, force=force)


def _leaves(fields):
    """The paths that nothing in the set lies below."""
    found = _model(fields)
    return {path for path in found if not any(other[:-1] == path for other in found)}


def _owned(owners):
    return reduce(field_sets.union, (owned.fields for owned in owners.values()), field_sets.EMPTY)


def _real(paths):
    return {path for path in paths if path[:1] not in ((name,) for name in _IGNORED) or len(path) > 2}


@settings(max_examples=60, deadline=None)
@given(deployments(), st.lists(st.tuples(managers, deployments()), max_size=5))
def test_owners_cover_exactly_what_is_there(first, updates):
    """After any updates every leaf of the object is owned by one updater alone, and nothing else is owned."""
    owners = after_update(NOBODY, {}, first, Writer("one", VERSION), NOW, STRUCTURE)
    live = first
    for manager, new in updates:
        owners = after_update(owners, live, new, Writer(manager, VERSION), NOW, STRUCTURE)
        live = new

    there = _real(_leaves(compare(DEPLOYMENT, {}, live).added) | _leaves(compare(DEPLOYMENT, {}, live).modified))
    owned = [path for each in owners.values() for path in _leaves(each.fields)]
    assert there <= set(owned)
    leaves = [path for path in owned if path in there]
    assert len(leaves) == len(set(leaves))
    assert _real(_model(_owned(owners))) <= _model(field_sets.union(*compare(DEPLOYMENT, {}, live)[1:]))


@settings(max_examples=60, deadline=None)
@given(deployments(), deployments(), managers)
def test_applying_twice_changes_nothing(live, config, manager):
    """The second apply finds its own work: no new object, the same owners."""
    first = _apply(NOBODY, live, config, manager, force=True)
    obj = live if first.obj is None else first.obj
    second = _apply(first.owners, obj, config, manager)

    assert second.obj is None
    assert second.owners == first.owners


@settings(max_examples=60, deadline=None)
@given(deployments(), texts, texts)
def test_managers_of_different_fields_never_conflict(live, mine, theirs):
    """Labels of one and annotations of another: both are there in the end, whoever comes first."""
    base = {"apiVersion": VERSION, "kind": "Deployment"}
    labels = {**base, "metadata": {"name": "d", "labels": {f"mine-{name}": value for name, value in mine.items()}}}
    notes = {**base, "metadata": {"name": "d", "annotations": theirs}}
    first = _apply(NOBODY, live, labels, "one")
    second = _apply(first.owners, first.obj or live, notes, "two")
    obj = second.obj or first.obj or live

    assert labels["metadata"]["labels"].items() <= obj["metadata"].get("labels", {}).items()
    assert theirs.items() <= obj["metadata"].get("annotations", {}).items()


@settings(max_examples=60, deadline=None)
@given(deployments(), deployments())
def test_who_gives_everything_up_takes_nothing_from_others(mine, theirs):
    """An empty configuration removes what only its manager owned; all that another applied stays as it was."""
    first = _apply(NOBODY, {}, mine, "one")
    second = _apply(first.owners, first.obj, theirs, "two", force=True)
    live = second.obj or first.obj
    nothing = {"apiVersion": VERSION, "kind": "Deployment", "metadata": {"name": "d"}}
    last = _apply(second.owners, live, nothing, "one")
    obj = last.obj or live

    assert all(manager.name == "two" for manager in last.owners)
    assert _apply(last.owners, obj, theirs, "two").obj is None
    left = _leaves(fields_of(DEPLOYMENT, obj))
    assert left <= _model(fields_of(DEPLOYMENT, theirs)) | {path for path in left if path[0] in _IGNORED}


@settings(max_examples=60, deadline=None)
@given(deployments(), deployments())
def test_a_conflict_is_about_what_would_change(live, config):
    """An apply without force is refused exactly where it would change a value that somebody else owns."""
    owners = after_update(NOBODY, {}, live, Writer("one", VERSION), NOW, STRUCTURE)
    forced = _apply(owners, live, config, "two", force=True)
    changed = compare(DEPLOYMENT, live, forced.obj or live)
    taken = field_sets.intersection(_owned(owners), field_sets.union(changed.modified, changed.added))
    try:
        _apply(owners, live, config, "two")
        conflicts = set()
    except ApplyConflictError as error:
        conflicts = {path for each in error.conflicts for path in field_sets.paths_of(each.owned.fields)}

    assert conflicts == set(_model(taken))


@settings(max_examples=60, deadline=None)
@given(deployments(), deployments())
def test_owners_are_read_as_they_are_shown(first, second):
    """`managedFields` hold all that is known."""
    owners = after_update(NOBODY, {}, first, Writer("one", VERSION), NOW, STRUCTURE)
    owners = after_update(owners, first, second, Writer("two", VERSION, "status"), NOW, STRUCTURE)
    owners = _apply(owners, second, first, "three", force=True).owners

    assert decode(encode(owners)) == owners
