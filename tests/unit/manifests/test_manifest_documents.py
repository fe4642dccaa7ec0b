"""YAML as Kubernetes reads it: values of scalars and keys, merges, limits, and syntax errors with their place."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubesim.manifests.document import ALIASED_VALUES_MAX, DEPTH_MAX, DocumentError, read_documents

# What `kubectl create --dry-run=client -o json` of v1.36.3 makes of the `data` of a ControllerRevision.
YAML = json.loads((Path(__file__).parent / "facts" / "yaml.json").read_text())


def value_of(text):
    """The value of a text of one document."""
    (document,) = read_documents(text)
    return document.value


@pytest.mark.parametrize("fact", YAML, ids=lambda fact: fact["yaml"].strip())
def test_yaml_reads_as_kubectl_reads_it(fact):
    """Scalars, keys, anchors and merges become the JSON that kubectl makes of them, or are refused as it refuses."""
    text = f"data:\n{fact['yaml']}"

    if fact["refused"]:
        with pytest.raises(DocumentError):
            value_of(text)
    else:
        assert json.loads(json.dumps(value_of(text)["data"])) == fact["json"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=5), inner)
    ),
    max_leaves=15,
)


@given(_JSON)
def test_json_reads_as_json(value):
    """A JSON text is read as a JSON reader reads it, surrogate pairs included."""
    assert value_of(json.dumps({"v": value})) == {"v": value}


@given(_JSON)
def test_yaml_written_by_a_dumper_reads_back(value):
    """What a YAML library writes in block style, quoted and tagged, is read back unchanged."""
    text = yaml.safe_dump({"v": value}, default_flow_style=False, allow_unicode=True, default_style='"')

    assert value_of(text) == {"v": value}


def test_documents_of_a_stream_come_one_by_one():
    """Separators part documents; empty ones have no value; lines are the stream's."""
    documents = list(read_documents("# first\na: 1\n---\n---\n# third\nb: 2\n"))

    assert [(d.value, d.spot.line) for d in documents] == [({"a": 1}, 1), (None, 3), ({"b": 2}, 5)]


def test_duplicate_keys_are_noted_with_both_places():
    """A key given twice is found anywhere in the tree; a merged key is no duplicate."""
    text = "a:\n- b: 1\n  c: 2\n  b: 3\nd: &d {e: 1}\nf: {<<: *d, e: 2}\n"
    (document,) = read_documents(text)

    assert [(d.path, d.first.line, d.second.line) for d in document.duplicates] == [(("a", "[0]", "b"), 1, 3)]


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a: [b\nc", 2, 0, "not YAML"),
        ("a: b\n\tc: d\n", 1, 0, "not YAML"),
        ('{"a": 1,', 1, 0, "not YAML"),
        ("a: b: c\n", 0, 4, "not YAML"),
        ("a: \x01", 0, 3, "not YAML: the character U+0001 is not allowed"),
        ("a: 1\nb: *x\n", 1, 3, "the alias *x has no anchor &x before it"),
        ("a: &x [*x]\n", 0, 7, "the anchor &x contains itself"),
        ("a: 1\n<<: 5\n", 1, 0, 'the value of "<<" must be a mapping'),
        ("? [a]\n: b\n", 0, 2, "a key must be text, not a collection"),
        ("~: b\n", 0, 0, "a key must be text, not null"),
        ("a: .inf\n", 0, 3, ".inf is not a number that JSON can hold"),
        ("a: !!int x\n", 0, 3, '"x" cannot be read as !!int'),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else "",
)
def test_bad_text_is_refused_with_its_place(text, line, column, what):
    """The error names line and column, from 0, and what is wrong."""
    with pytest.raises(DocumentError) as caught:
        list(read_documents(text))

    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.what.startswith(what)


def test_aliases_that_multiply_are_refused():
    """A file whose aliases stand for more values than the bound is refused in no time (billion laughs)."""
    letters = "abcdefghi"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in pairwise(letters)]

    with pytest.raises(DocumentError, match=f"more than {ALIASED_VALUES_MAX} values"):
        list(read_documents("\n".join(lines)))


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{a: " * 5000, "\n".join(" " * n + "a:" for n in range(900))])
def test_deep_nesting_is_refused(text):
    """Nesting beyond the bound is refused, whatever the style, before the interpreter's stack is in danger."""
    with pytest.raises(DocumentError, match=f"more than {DEPTH_MAX} levels|maximum nesting depth"):
        list(read_documents(text))
