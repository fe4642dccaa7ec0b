"""The table of kinds against the tables that are keyed by it."""

from __future__ import annotations

import pytest
from source_tree import ROOT

from kubesim.api import schema
from kubesim.api.kinds import ALL_KINDS

MODELLED = [kind for kind in ALL_KINDS if kind.modelled]


@pytest.mark.parametrize("kind", ALL_KINDS, ids=str)
def test_each_kind_has_its_columns(kind):
    """Names are in the form that URLs and messages need, and the schema knows the kind by its own version."""
    assert kind.plural == kind.plural.lower()
    assert kind.singular == kind.kind.lower()
    assert kind.api_version == (f"{kind.group}/{kind.version}" if kind.group else kind.version)
    assert kind.schema.rpartition(".")[2] == kind.kind
    assert f".{kind.version}." in kind.schema
    assert schema.field(kind.schema, "apiVersion") is not None
    assert ("status" in kind.subresources) <= (schema.field(kind.schema, "status") is not None)


def test_no_two_kinds_answer_to_one_url():
    """Group, version and plural name one row."""
    urls = [(kind.group, kind.version, kind.plural) for kind in ALL_KINDS]

    assert len(urls) == len(set(urls))


def test_no_short_name_is_taken_twice():
    """Within one group a short name means one resource."""
    owners = {}
    for kind in ALL_KINDS:
        for name in kind.short_names:
            owners.setdefault((kind.group, name), set()).add(kind.resource)

    assert {name: found for name, found in owners.items() if len(found) > 1} == {}


@pytest.mark.parametrize("kind", MODELLED, ids=str)
def test_each_modelled_kind_is_in_the_fidelity_page(kind):
    """Whoever relies on a kind's behaviour finds there how it is modelled."""
    page = (ROOT / "docs" / "fidelity.md").read_text()

    assert f"`{kind.kind}`" in page, f"docs/fidelity.md does not mention {kind.kind}"
