"""Structural checks: the decoder's answers of the real server, and plain words for people."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.api.kinds import CONFIG_MAP, DEPLOYMENT, POD, SECRET, find_kind
from kubesim.api.schema.check import decoded, find_problems, is_clean
from kubesim.api.schema.walk import Walk
from kubesim.api.schema.wire import decoding_error, strict_texts

# Objects posted with fieldValidation=Strict to a 1.36.3 API server, and its BadRequest message; empty where the
# decoder was content.
DECODING = json.loads((Path(__file__).parent / "facts" / "decoding.json").read_text())


@pytest.mark.parametrize("fact", DECODING, ids=lambda fact: fact["case"])
def test_decoder_answers_as_the_real_server(fact):
    """The text of a refusal is the real server's, and what it takes passes."""
    obj = fact["object"]
    kind = find_kind(obj["apiVersion"], obj["kind"])

    error = decoding_error(kind.version, kind.kind, find_problems(obj, kind.schema), strict=True)

    assert (error.message if error else "") == fact["message"]
    assert is_clean(obj, kind.schema) == (fact["message"] == "")


def test_unknown_fields_pass_where_validation_is_not_strict():
    """`fieldValidation=Ignore` and `Warn` take an unknown field; warnings carry its text."""
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replica": 1}, "foo": 1}

    problems = find_problems(obj, DEPLOYMENT.schema)

    assert decoding_error("v1", "Deployment", problems, strict=False) is None
    assert strict_texts(problems) == ['unknown field "spec.replica"', 'unknown field "foo"']


def test_wrong_types_are_refused_even_where_validation_is_not_strict():
    """A wrong type is no matter of strictness: 400 BadRequest."""
    problems = find_problems({"spec": {"replicas": "3"}}, DEPLOYMENT.schema)

    error = decoding_error("v1", "Deployment", problems, strict=False)

    assert error is not None
    assert (error.code, error.reason) == (400, "BadRequest")


def test_duplicate_keys_read_as_the_real_server_says():
    """Duplicates, known only to the reader of the text, are strict errors with dotted paths."""
    obj = {"metadata": {"labels": {"a.b/c": "2"}}, "spec": {"template": {"spec": {"containers": [{"name": "b"}]}}}}
    duplicates = [("metadata", "labels", "a.b/c"), ("spec", "template", "spec", "containers", "[0]", "name")]

    problems = find_problems(obj, DEPLOYMENT.schema, duplicates=duplicates)

    assert strict_texts(problems) == [
        'duplicate field "metadata.labels.a.b/c"',
        'duplicate field "spec.template.spec.containers[0].name"',
    ]


def test_every_problem_is_reported_with_its_path():
    """People get all mistakes at once, each with where, what and what to do."""
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": {"app": 5}},
        "spec": {
            "replica": 3,
            "selector": {},
            "template": {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": "80"}]}, {"nme": "b"}]}},
        },
    }

    problems = find_problems(obj, DEPLOYMENT.schema, with_missing=True)

    assert [(p.reason, p.path, p.remedy) for p in problems] == [
        ("type", "metadata.labels[app]", "put it in quotes"),
        ("unknown", "spec.replica", 'write "replicas"'),
        ("type", "spec.template.spec.containers[0].ports[0].containerPort", "remove the quotes"),
        ("unknown", "spec.template.spec.containers[1].nme", 'write "name"'),
        ("missing", "spec.template.spec.containers[1].name", "add it"),
    ]
    assert problems[2].message == (
        '"spec.template.spec.containers[0].ports[0].containerPort" must be a whole number of 32 bits, not the text "80"'
    )


def test_an_absent_spec_is_missing_where_it_has_required_fields():
    """A Pod needs a spec although its schema does not say so; a ConfigMap does not."""
    assert [p.path for p in find_problems({"kind": "Pod"}, POD.schema, with_missing=True)] == ["spec"]
    assert find_problems({"kind": "ConfigMap"}, CONFIG_MAP.schema, with_missing=True) == []


def test_decoding_drops_null_and_unknown_fields():
    """Null and unknown fields vanish, null texts in maps become empty, and an object without any stays itself."""
    pod = {
        "metadata": {"name": "a", "creationTimestamp": None, "labels": {"a": None, "b": "c"}},
        "spec": {"containers": [{"name": "a", "image": None}], "nodeSelector": None},
    }
    unknown = {"metadata": {"name": "a", "foo": 1}, "bar": None}
    clean = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "env": [{"name": "x"}]}]}}

    assert is_clean(pod, POD.schema)
    assert decoded(pod, POD.schema) == {
        "metadata": {"name": "a", "labels": {"a": "", "b": "c"}},
        "spec": {"containers": [{"name": "a"}]},
    }
    assert decoded(unknown, POD.schema) == {"metadata": {"name": "a"}}
    assert decoded(clean, POD.schema) is clean


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
_PATHS = [
    ("metadata", "labels"),
    ("metadata", "ownerReferences"),
    ("spec", "containers"),
    ("spec", "nodeSelector"),
    ("spec", "restartPolicy"),
    ("spec", "terminationGracePeriodSeconds"),
    ("spec", "overhead"),
    ("status",),
    ("zzz",),
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_PATHS), _JSON)
def test_the_two_passes_agree(path, value):
    """The quick check refuses exactly the objects in which the slow one finds a problem."""
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}]}}
    for key in reversed(path):
        value = {key: value}
    pod = {
        **obj,
        **{key: {**obj.get(key, {}), **item} if isinstance(item, dict) else item for key, item in value.items()},
    }

    walk = Walk(with_missing=False)
    walk.root(pod, POD.schema)

    assert is_clean(pod, POD.schema) == (walk.problems == [])
    assert not is_clean(pod, POD.schema) or is_clean(decoded(pod, POD.schema), POD.schema)
    assert decoded(decoded(pod, POD.schema), POD.schema) == decoded(pod, POD.schema)


@given(st.binary(max_size=12))
def test_what_base64_writes_is_accepted(content):
    """Every standard encoding of bytes is valid Secret data."""
    secret = {"data": {"a": base64.b64encode(content).decode()}}

    assert is_clean(secret, SECRET.schema)
