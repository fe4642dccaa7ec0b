"""How the schema says that each field takes part in a strategic merge.

Upstream: apimachinery/pkg/util/strategicpatch/meta.go, third_party/forked/golang/json/fields.go @v1.36
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from kubesim.api.patch.values import server_error
from kubesim.api.schema import Field, definition, field


class MergeRule(NamedTuple):
    """`definition` describes the value, or a list's elements; empty where these are no objects with fields."""

    definition: str
    is_merged: bool
    is_replaced: bool
    retains_keys: bool
    merge_key: str


def _found(definition_name: str, key: str) -> Field:
    if definition(definition_name) is None:
        raise server_error("merging an object in json but data type is not struct, instead is: map")
    found = field(definition_name, key)
    if found is None:
        name = definition_name.rsplit(".", 1)[-1]
        raise server_error(f'unable to find api field in struct {name} for the json field "{key}"')
    return found


def _rule(found: Field, definition_name: str) -> MergeRule:
    strategies = found.patch_strategy.split(",")
    return MergeRule(
        definition_name,
        "merge" in strategies,
        "replace" in strategies,
        "retainKeys" in strategies,
        found.merge_key,
    )


@cache
def object_rule(definition_name: str, key: str) -> MergeRule:
    """The rule for an object at `key`.

    Raises:
        ApiError: 500, the schema has no such field.
    """
    found = _found(definition_name, key)
    return _rule(found, found.ref)


@cache
def list_rule(definition_name: str, key: str) -> MergeRule:
    """The rule for a list at `key`.

    Raises:
        ApiError: 500, the schema has no such field or it is no list.
    """
    found = _found(definition_name, key)
    if found.type != "array":
        raise server_error("expected slice or array type, but got: struct")
    return _rule(found, found.items_ref)
