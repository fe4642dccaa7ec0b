"""References to objects as people write them: `pod/postgres-0`, `deploy/vehicle-api`, `node/node-2`.

A reference without a namespace means the one object of that kind and name, wherever it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.api.kinds import ALL_KINDS, find_by_word
from kubesim.api.objects import Key, Object
from kubesim.api.scheme import Kind
from kubesim.errors import UserError
from kubesim.store.log import Store


def parse_reference(reference: str) -> tuple[Kind, str]:
    """The kind and name in `kind/name`.

    Raises:
        UserError: it is not of that form, or the kind is unknown.
    """
    word, slash, name = reference.partition("/")
    if not slash or not name or "/" in name:
        raise UserError(f'"{reference}" is no reference to an object; write KIND/NAME, such as pod/postgres-0')
    return parse_kind(word), name


def parse_kind(word: str) -> Kind:
    """The kind that a word such as `pods`, `deploy` or `statefulset.apps` means.

    Raises:
        UserError: there is none; the nearest one is named.
    """
    kind = find_by_word(word)
    if kind is None:
        from difflib import get_close_matches

        words = [each.plural for each in ALL_KINDS] + [each.singular for each in ALL_KINDS]
        near = get_close_matches(word.lower(), words, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f'there is no kind "{word}"{hint}')
    return kind


def find_object(store: Store, reference: str, namespace: str) -> Object | None:
    """The object that the reference names, or None where there is none.

    Raises:
        UserError: the reference is malformed, or several namespaces have such an object.
    """
    kind, name = parse_reference(reference)
    return find_among(store.table(kind.resource).objects, kind, name, namespace)


def find_among(objects: Mapping[Key, Object], kind: Kind, name: str, namespace: str) -> Object | None:
    """The object of that name among all of its kind, or None; without a namespace it may be in any.

    Raises:
        UserError: several namespaces have such an object.
    """
    if not kind.namespaced or namespace:
        return objects.get(Key(namespace if kind.namespaced else "", name))
    found = [obj for key, obj in objects.items() if key.name == name]
    if len(found) > 1:
        spaces = ", ".join(sorted(obj["metadata"]["namespace"] for obj in found))
        raise UserError(f"{kind.singular}/{name} is in several namespaces ({spaces}); say which one is meant")
    return found[0] if found else None


def nearest_name(store: Store, reference: str) -> str:
    """The name of that kind in the store which is most like the reference's, or an empty text."""
    from difflib import get_close_matches

    kind, name = parse_reference(reference)
    names = sorted({key.name for key in store.table(kind.resource).objects})
    near = get_close_matches(name, names, 1, 0.4)
    return near[0] if near else ""
