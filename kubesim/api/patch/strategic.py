"""Strategic merge patch: a merge patch whose lists may merge by a key that the schema names.

Directives steer it: `$patch: replace|delete` in an object, `$retainKeys` beside fields of a union,
`$deleteFromPrimitiveList/x` and `$setElementOrder/x` beside a list `x`.

Mistakes get the status that upstream gives them, and for most that is a 500 without a reason.

Upstream: apimachinery/pkg/util/strategicpatch/patch.go:StrategicMergeMapPatch,
apiserver/pkg/endpoints/handlers/patch.go:interpretStrategicMergePatchError @v1.36
"""

from __future__ import annotations

from functools import lru_cache
from operator import is_
from typing import Any

from kubesim.api.memo import IdentitiesMemo
from kubesim.api.objects import Object
from kubesim.api.patch.merge_rules import MergeRule, list_rule, object_rule
from kubesim.api.patch.ordered_lists import KeyOf, in_patch_order, key_function, ranks
from kubesim.api.patch.values import go_text, go_type, is_same, require_object, server_error, unprocessable
from kubesim.errors import ApiError, bad_request

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM_LIST = "$deleteFromPrimitiveList"
SET_ELEMENT_ORDER = "$setElementOrder"

_BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_ELEMENT_ORDER = "invalid patch format of setElementOrder list"
_DROPPED: Any = object()
_NOTHING: list[Any] = []


def apply_strategic_merge_patch(original: Object, patch: Any, definition_name: str) -> Object:
    """The object with the patch merged in as the definition (`Kind.schema`) says.

    Raises:
        ApiError: 400 for malformed directives, 422 for lists of lists, 500 for anything else that is wrong.
    """
    return original if patch is None else _merge_object(original, require_object(patch), definition_name)


def unknown_directive(directive: Any, patch: Object) -> ApiError:
    """The refusal of a `$patch` value that is none."""
    return server_error(f"unknown patch type: {directive} in map: {go_text(patch)}")


def _obey_directive(patch: Object) -> Object:
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    raise unknown_directive(directive, patch)


def _merge_object(original: Object, patch: Object, definition_name: str) -> Object:
    merged = original
    # Most patches carry no directive; all of them start with `$`, and `%` is the character after it.
    if patch and min(patch) < "%":
        if DIRECTIVE in patch:
            return _obey_directive(patch)
        merged, patch = _obey_fields(original, patch, definition_name)
    is_copy = merged is not original
    for key, value in patch.items():
        current = merged.get(key, _DROPPED)
        kind = type(value)
        if kind is str or kind is int or kind is bool:
            if kind is type(current) and current == value:
                continue
            new = value
        else:
            new = _merge_value(current, value, definition_name, key)
            if new is current:
                continue
        if not is_copy:
            merged, is_copy = dict(original), True
        if new is _DROPPED:
            del merged[key]
        else:
            merged[key] = new
    return merged


@lru_cache(maxsize=1024)
def _directives_among(keys: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The keys that are directives, and the others."""
    return [key for key in keys if key.startswith("$")], [key for key in keys if not key.startswith("$")]


def _obey_fields(original: Object, patch: Object, definition_name: str) -> tuple[Object, Object]:
    """The object after the directives beside its fields, and what is left of the patch."""
    merged = original
    directives, others = _directives_among(tuple(patch))
    rest = {key: patch[key] for key in others}
    if RETAIN_KEYS in patch:
        merged = _retain_keys(original, patch)
    for key in directives:
        if key.startswith(SET_ELEMENT_ORDER):
            field, new = _merge_ordered_list(merged, patch, key, definition_name)
            rest.pop(field, None)
            if new is not _DROPPED and new is not merged.get(field):
                merged = {**merged, field: new}
    for key in directives:
        if key.startswith(DELETE_FROM_LIST):
            merged = _delete_from_list(merged, _field_of(key, DELETE_FROM_LIST), patch[key], definition_name)
        elif key != RETAIN_KEYS and not key.startswith(SET_ELEMENT_ORDER):
            rest[key] = patch[key]
    return merged, rest


def _merge_value(current: Any, value: Any, definition_name: str, key: str) -> Any:
    """The new value of a field, `_DROPPED` for none; `current` itself where nothing changes."""
    kind = type(value)
    if kind is type(current):
        if kind is dict:
            rule = object_rule(definition_name, key)
            return value if rule.is_replaced else _merge_object(current, value, rule.definition)
        if kind is list:
            return _merge_list(current, value, list_rule(definition_name, key))
        return current if current == value else value
    if value is None:
        return _DROPPED
    return _plain(value) if kind is dict or kind is list else value


def _plain(value: Any) -> Any:
    """A dict or list that has nothing to merge with: without null fields, and without parts that carry a `$patch`."""
    if type(value) is list:
        items = [_plain(item) if type(item) is dict or type(item) is list else item for item in value]
        if all(map(is_, items, value)):
            return value
        return [item for item in items if item is not _DROPPED]
    if DIRECTIVE in value:
        return _DROPPED
    plain = value
    for key, item in value.items():
        kind = type(item)
        if kind is dict or kind is list:
            new = _plain(item)
        elif item is None:
            new = _DROPPED
        else:
            continue
        if new is not item:
            if plain is value:
                plain = {**value}
            if new is _DROPPED:
                del plain[key]
            else:
                plain[key] = new
    return plain


def _without_directives(value: Any) -> Any:
    """A value that has nothing to merge with: parts that carry a `$patch` are left out, the whole gives `_DROPPED`."""
    if type(value) is dict:
        if DIRECTIVE in value:
            return _DROPPED
        items = {key: _without_directives(item) for key, item in value.items()}
        if all(items[key] is item for key, item in value.items()):
            return value
        return {key: item for key, item in items.items() if item is not _DROPPED}
    if type(value) is list:
        return [new for item in value if (new := _without_directives(item)) is not _DROPPED]
    return value


def _retain_keys(original: Object, patch: Object) -> Object:
    """The object without the fields that the patch does not list."""
    retained = patch[RETAIN_KEYS]
    if type(retained) is not list:
        raise bad_request(_BAD_RETAIN_KEYS)
    for key, value in patch.items():
        if value is None or key == RETAIN_KEYS or key.startswith((DELETE_FROM_LIST, SET_ELEMENT_ORDER)):
            continue
        if key not in retained:
            raise bad_request(_BAD_RETAIN_KEYS)
    kept = {key: value for key, value in original.items() if key in retained}
    return original if len(kept) == len(original) else kept


@lru_cache(maxsize=1024)
def _field_of(key: str, prefix: str) -> str:
    parts = key.split("/", 1)
    if len(parts) < 2 or parts[0] != prefix:
        raise bad_request(_BAD_PRIMITIVE_LIST if prefix == DELETE_FROM_LIST else _BAD_ELEMENT_ORDER)
    return parts[1]


def _as_list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise server_error(f"expected a []interface {{}}, but received a {go_type(value)}")
    return value


def require_one_type(*lists: list[Any]) -> type:
    """The type of the elements of all lists together.

    Raises:
        ApiError: they differ, there are none, or they are lists themselves.
    """
    found: type | None = None
    for items in lists:
        for item in items:
            if found is None:
                found = type(item)
                if found is list:
                    raise unprocessable()
            elif type(item) is not found:
                raise server_error(f"list element types are not identical: {go_text(list(lists))}")
    if found is None:
        raise server_error("no elements in any of the given slices")
    return found


def _unless_same(current: list[Any], new: list[Any]) -> list[Any]:
    """`current` where `new` holds the very same elements."""
    if len(current) != len(new):
        return new
    for old, item in zip(current, new, strict=True):
        if old is not item and (type(item) is dict or not is_same(old, item)):
            return new
    return current


def _delete_from_list(original: Object, field: str, unwanted: Any, definition_name: str) -> Object:
    if field not in original:
        return original
    if unwanted is None:
        return {key: value for key, value in original.items() if key != field}
    current = original[field]
    if type(current) is not list or type(unwanted) is not list:
        return original
    rule = list_rule(definition_name, field)
    if not current and not unwanted:
        return original
    if require_one_type(current, unwanted) is dict:
        new = _merge_list(current, unwanted, rule)
    else:
        new = _unless_same(current, [item for item in current if item not in unwanted])
    return original if new is current else {**original, field: new}


def _merge_list(current: list[Any], patch: list[Any], rule: MergeRule) -> list[Any]:
    """The list merged with the patch's, in the patch's order."""
    if not rule.is_merged:
        return current if is_same(current, patch) else patch
    if not current and not patch:
        return current
    quick = _merge_where_they_stand(current, patch, rule)
    if quick is not None:
        return quick
    return _unless_same(current, _merge_items(current, patch, rule, key_function(rule.merge_key))[0])


def _merge_where_they_stand(current: list[Any], patch: list[Any], rule: MergeRule) -> list[Any] | None:
    """The merged list if the patch only changes elements, in the order that they have; None otherwise.

    It spares such patches the ranks and the sorting.
    """
    merge_key = rule.merge_key
    try:
        places = {item[merge_key]: at for at, item in enumerate(current)}
        targets = [places[element[merge_key]] for element in patch if DIRECTIVE not in element]
    except (KeyError, TypeError):
        return None
    if len(places) != len(current) or len(targets) != len(patch) or not _rises(targets):
        return None
    merged = current
    for at, element in zip(targets, patch, strict=True):
        new = _merge_object(current[at], element, rule.definition)
        if new is not current[at]:
            if merged is current:
                merged = current.copy()
            merged[at] = new
    return merged


def _merge_in_full_order(current: list[Any], patch: list[Any], order: list[Any], rule: MergeRule) -> list[Any] | None:
    """The merged list if `order` names each of its elements once and the patch's in their order; None otherwise.

    That is nearly every status patch, and it spares them the ranks and the sorting.
    """
    merge_key = rule.merge_key
    try:
        ranks_of = {item[merge_key]: at for at, item in enumerate(order)}
        items = {item[merge_key]: item for item in current}
        if len(items) != len(current) or len(ranks_of) != len(order):
            return None
        last = -1
        for element in patch:
            key = element[merge_key]
            rank = ranks_of[key]
            if rank <= last or DIRECTIVE in element:
                return None
            last = rank
            old = items.get(key)
            items[key] = element if old is None else _merge_object(old, element, rule.definition)
        merged = [items[key] for key in ranks_of]
    except (KeyError, TypeError):
        return None
    if len(merged) != len(items):
        return None
    return current if len(merged) == len(current) and all(map(is_, merged, current)) else merged


# Pods that do the same in the same second share their lists of conditions, and what their kubelets say of them.
_merged_in_full_order: IdentitiesMemo[list[Any] | None] = IdentitiesMemo(_merge_in_full_order)


def _rises(places: list[int]) -> bool:
    last = -1
    for place in places:
        if place <= last:
            return False
        last = place
    return True


def _merge_items(current: list[Any], patch: list[Any], rule: MergeRule, key_of: KeyOf) -> tuple[list[Any], list[Any]]:
    """The merged list in the patch's order, and the list whose order `$setElementOrder` takes for the live one.

    That is the live list, but where the patch deletes elements upstream has overwritten their places with the patch's
    new ones by then, and those places count.
    """
    if require_one_type(current, patch) is not dict:
        merged = list(dict.fromkeys(current + patch))
        return in_patch_order(merged, ranks(patch, key_of), current, key_of), current
    live, merged, plain = _merge_elements(current, patch, rule, key_of)
    return in_patch_order(merged, ranks(plain, key_of), live, key_of), merged[: len(current)]


def _merge_elements(
    current: list[Any], patch: list[Any], rule: MergeRule, key_of: KeyOf
) -> tuple[list[Any], list[Any], list[Any]]:
    """The live elements left by deletions, those merged with the patch's, and the patch's without special ones."""
    if not rule.merge_key:
        raise server_error("cannot merge lists without merge key for struct")
    live, plain = _obey_special_elements(current, patch, rule.merge_key, key_of)
    if live is None:
        return plain, plain, []
    places: dict[Any, int] = {}
    for at, item in enumerate(live):
        if rule.merge_key in item:
            places.setdefault(item[rule.merge_key], at)
    merged = live.copy()
    for element in plain:
        at = places.setdefault(key_of(element), len(merged))
        if at == len(merged):
            merged.append(element)
        else:
            merged[at] = _merge_object(merged[at], element, rule.definition)
    return live, merged, plain


def _obey_special_elements(
    current: list[Any], patch: list[Any], merge_key: str, key_of: KeyOf
) -> tuple[list[Any] | None, list[Any]]:
    """The live list after `$patch: delete` elements (None after a `$patch: replace`), and the patch without both."""
    live: list[Any] | None = current
    kept = current
    plain = []
    for element in patch:
        if DIRECTIVE not in element:
            plain.append(element)
            continue
        directive = element[DIRECTIVE]
        if directive == "delete":
            key = key_of(element)
            kept = [item for item in kept if item.get(merge_key, _DROPPED) != key]
            live = kept if live is not None else None
        elif directive == "replace":
            live = None
        elif directive == "merge":
            raise server_error("merging lists cannot yet be specified in the patch")
        else:
            raise unknown_directive(directive, element)
    return live, plain


def _check_element_order(patch: list[Any], order: list[Any], key_of: KeyOf) -> None:
    """Refuses an order that does not list the patch's elements as the patch has them.

    Upstream: patch.go:validatePatchWithSetOrderList @v1.36
    """
    if not patch or not order:
        return
    wanted = [item for item in patch if not (type(item) is dict and DIRECTIVE in item)]
    at = 0
    for item in order:
        if at < len(wanted) and key_of(wanted[at]) == key_of(item):
            at += 1
    if at < len(wanted):
        raise server_error(
            f"The order in patch list:\n{go_text(patch)}\n doesn't match {SET_ELEMENT_ORDER} list:\n{go_text(order)}\n"
        )


def _merge_ordered_list(original: Object, patch: Object, key: str, definition_name: str) -> tuple[str, Any]:
    """The field that an order speaks of and its list, merged with the patch's and ordered; `_DROPPED` if there is none.

    Upstream: patch.go:mergePatchIntoOriginal @v1.36
    """
    order = _as_list(patch[key])
    field = _field_of(key, SET_ELEMENT_ORDER)
    current = _as_list(original[field]) if field in original else None
    changes = _as_list(patch[field]) if field in patch else None
    rule = list_rule(definition_name, field)
    if current and rule.is_merged and rule.merge_key:
        quick = _merged_in_full_order(current, changes or _NOTHING, order, rule)
        if quick is not None:
            return field, quick
    key_of = key_function(rule.merge_key)
    _check_element_order(changes or [], order, key_of)
    if current is None and changes is None:
        return field, _DROPPED
    live = current or []
    if current is None:
        merged = _without_directives(changes)
    elif changes is None:
        merged = current
    elif rule.is_merged and (current or changes):
        merged, live = _merge_items(current, changes, rule, key_of)
    else:
        merged = changes
    require_one_type(current or [], changes or [])
    ordered = in_patch_order(merged, ranks(order, key_of), live, key_of)
    return field, ordered if current is None else _unless_same(current, ordered)
