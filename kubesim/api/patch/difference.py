"""The strategic merge patch that leads from one object to another, as kubelet and Deployment rollback send it.

Upstream sorts the old list of scalars before it compares. So a list that merely came into alphabetical order is no
difference, here as there; that an unchanged list out of alphabetical order is one, is left out.

Upstream: apimachinery/pkg/util/strategicpatch/patch.go:CreateTwoWayMergePatch @v1.36
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from kubesim.api.objects import Object
from kubesim.api.patch.merge_rules import MergeRule, list_rule, object_rule
from kubesim.api.patch.ordered_lists import KeyOf, key_function, ranks
from kubesim.api.patch.strategic import (
    DELETE_FROM_LIST,
    DIRECTIVE,
    RETAIN_KEYS,
    SET_ELEMENT_ORDER,
    require_one_type,
)
from kubesim.api.patch.values import go_text, is_same
from kubesim.errors import ApiError


def plan_two_way_merge_patch(original: Object, modified: Object, definition_name: str) -> Object:
    """The patch that makes `modified` out of `original`; empty where they are equal. It shares parts of `modified`.

    Raises:
        ApiError: the objects differ in fields that the definition does not have, or in elements without merge key.
    """
    return _object_difference(original, modified, definition_name, retains_keys=False)


def _object_difference(original: Object, modified: Object, definition_name: str, *, retains_keys: bool) -> Object:
    patch: Object = {}
    if original is modified:
        return patch
    for key, value in modified.items():
        if key not in original:
            patch[key] = value
            continue
        old = original[key]
        if old is value:
            continue
        kind = type(value)
        if kind is not type(old):
            patch[key] = value
        elif kind is dict:
            _add_object_difference(patch, key, old, value, definition_name)
        elif kind is list:
            _add_list_difference(patch, key, old, value, definition_name)
        elif old != value:
            patch[key] = value
    for key in original:
        if key not in modified:
            patch[key] = None
    retained = sorted(key for key, value in modified.items() if value is not None) if retains_keys and patch else []
    if retained:
        patch[RETAIN_KEYS] = retained
    return patch


def _rule_unless_same(
    look_up: Callable[[str, str], MergeRule], definition_name: str, key: str, old: Any, new: Any
) -> MergeRule | None:
    """The field's rule; None where it has none but nothing differs either."""
    try:
        return look_up(definition_name, key)
    except ApiError:
        if is_same(old, new):
            return None
        raise


def _add_object_difference(patch: Object, key: str, old: Object, new: Object, definition_name: str) -> None:
    rule = _rule_unless_same(object_rule, definition_name, key, old, new)
    if rule is None:
        return
    if rule.is_replaced:
        patch[key] = new
        return
    difference = _object_difference(old, new, rule.definition, retains_keys=rule.retains_keys)
    if difference:
        patch[key] = difference


def _add_list_difference(patch: Object, key: str, old: list[Any], new: list[Any], definition_name: str) -> None:
    rule = _rule_unless_same(list_rule, definition_name, key, old, new)
    if rule is None:
        return
    if not rule.is_merged:
        if not is_same(old, new):
            patch[key] = new
        return
    if not old:
        if new:
            patch[key] = new
        return
    if require_one_type(old, new) is dict:
        changes, order = _element_differences(old, new, rule)
        removed: list[Any] = []
    else:
        changes, removed, order = _scalar_differences(old, new)
    if changes:
        patch[key] = changes
    if removed:
        patch[f"{DELETE_FROM_LIST}/{key}"] = removed
    if order:
        patch[f"{SET_ELEMENT_ORDER}/{key}"] = order


def _element_differences(old: list[Any], new: list[Any], rule: MergeRule) -> tuple[list[Any], list[Any]]:
    """Changed and added elements in their new order with deletions behind, and the order if anything differs."""
    key_of = key_function(rule.merge_key)
    # Elements of one key are paired from the last to the first, as upstream's sort leaves them.
    before: dict[Any, list[Any]] = {}
    for element in old:
        before.setdefault(key_of(element), []).append(element)
    changes: list[Any] = []
    for element in reversed(new):
        key = key_of(element)
        if not before.get(key):
            changes.append(element)
            continue
        difference = _object_difference(before[key].pop(), element, rule.definition, retains_keys=rule.retains_keys)
        if difference:
            changes.append({**difference, rule.merge_key: key})
    places = ranks(new, key_of)
    changes.sort(key=lambda element: places[key_of(element)])
    gone = sorted((key for key, left in before.items() for _ in left), key=go_text)
    changes += [{rule.merge_key: key, DIRECTIVE: "delete"} for key in gone]
    if not changes and _same_keys(old, new, key_of):
        return [], []
    return changes, [{rule.merge_key: key_of(element)} for element in new]


def _same_keys(old: list[Any], new: list[Any], key_of: KeyOf) -> bool:
    return len(old) == len(new) and all(key_of(left) == key_of(right) for left, right in zip(old, new, strict=True))


def _scalar_differences(old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Added scalars in their new order, removed ones by their text, and the order if anything differs."""
    before, after = Counter(old), Counter(new)
    surplus = after - before
    added = []
    for item in new:
        if surplus[item] > 0:
            surplus[item] -= 1
            added.append(item)
    removed = sorted(before - after, key=go_text)
    in_order = is_same(old, new) or is_same(sorted(old, key=go_text), new)
    return added, removed, [] if in_order else new
