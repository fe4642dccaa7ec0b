"""Proof that nothing changes a stored object in place.

Objects are shared: between the store, every watch and informer, the trace, and the objects made from them. One that is
changed by somebody changes for all, without a revision. The detector keeps what each object looked like when it was
stored and compares in the end. client-go has the same for its caches (tools/cache/mutation_detector.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from kubesim.api.differences import field_differences
from kubesim.api.objects import Key, Object, key_of
from kubesim.store.log import Store

_encode = msgspec.json.Encoder().encode


@contextmanager
def no_mutations() -> Iterator[None]:
    """Check every object that any store takes in the meantime.

    Raises:
        AssertionError: at the end, some have been changed in place; the first ones are named, each with a field.
    """
    stored: list[tuple[Object, bytes]] = []
    write, delete = Store.write, Store.delete

    def write_and_keep(store: Store, resource: str, key: Key, obj: Object, previous: Object | None) -> Object:
        obj = write(store, resource, key, obj, previous)
        stored.append((obj, _encode(obj)))
        return obj

    def delete_and_keep(store: Store, resource: str, key: Key, last: Object) -> Object:
        obj = delete(store, resource, key, last)
        stored.append((obj, _encode(obj)))
        return obj

    Store.write, Store.delete = write_and_keep, delete_and_keep  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Store.write, Store.delete = write, delete  # type: ignore[method-assign]
    changed = [(obj, before) for obj, before in stored if _encode(obj) != before]
    if changed:
        shown = "\n".join(_describe(obj, msgspec.json.decode(before)) for obj, before in changed[:5])
        raise AssertionError(f"{len(changed)} stored objects were changed in place:\n{shown}")


def _describe(obj: Object, before: Object) -> str:
    path, old, new = next(field_differences(before, obj), ("the order of its fields", "", ""))
    revision = before["metadata"]["resourceVersion"]
    return f"{before.get('kind', 'object')} {key_of(before)} of revision {revision}: {path} was {old!r} and is {new!r}"
