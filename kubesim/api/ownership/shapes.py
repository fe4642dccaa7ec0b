"""How the schema divides a value into fields that different managers can own.

A `Shape` says it for one place. Scalars are leaves, and so is what the schema calls atomic. Stored objects stand for Go
structs, which always have certain fields; `part` gives these where they are not written.

Upstream: kube-openapi/pkg/schemaconv/openapi.go,
structured-merge-diff/v6/typed/helpers.go, structured-merge-diff/v6/value/{reflectcache,jsontagutil}.go
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, final

from kubesim.api.ownership.field_sets import key_element, value_element
from kubesim.api.schema.table import Field, definition, fields

# What a struct has at the place of a field that its encoding leaves out; None is JSON's null.
ABSENT: Final = object()
# The zero value of a struct within a struct, known by its identity.
ZERO: Final[dict[str, Any]] = {}
_ZEROS: Final[dict[str, Any]] = {"string": "", "boolean": False, "int32": 0, "int64": 0, "number": 0, "object": ZERO}
# Upstream: // +default="TCP" in core/v1/types.go; no other key of a list has a default of its own.
_KEY_DEFAULTS: Final = {"protocol": "TCP"}


class UntypableError(ValueError):
    """A value that does not fit its shape. The text is upstream's."""


@final
class Shape:
    """One place of the schema.

    `kind` is scalar, struct, map, list, set (of scalars) or keyed (a list whose items are told apart by `keys`).
    `is_leaf`: it is owned as a whole. `type` is a scalar's type; `element` the shape of the values of a map or list.
    """

    __slots__ = ("_definition", "_parts", "element", "is_leaf", "keys", "kind", "type")

    def __init__(
        self,
        kind: str,
        *,
        is_leaf: bool = False,
        type_: str = "",
        definition_name: str = "",
        keys: tuple[str, ...] = (),
        element: Shape | None = None,
    ) -> None:
        self.kind = kind
        self.is_leaf = is_leaf
        self.type = type_
        self.keys = keys
        self.element = element
        self._definition = definition_name
        self._parts: dict[str, tuple[Shape, str, Any]] | None = None

    @property
    def parts(self) -> dict[str, tuple[Shape, str, Any]]:
        """Of a struct: each field's shape, presence and zero value."""
        if self._parts is None:
            self._parts = {
                name: (shape_of_field(field), field.presence, _ZEROS.get(field.type))
                for name, field in fields(self._definition).items()
            }
        return self._parts

    def names_that_differ(self, old: Any, new: Any) -> dict[str, None]:
        """The fields in which two structs or maps may differ; either may be absent or null."""
        if type(old) is dict and type(new) is dict:
            names = {name: None for name, value in new.items() if old.get(name, ABSENT) is not value}
            for name in old:
                if name not in new:
                    names[name] = None
            return names
        names = dict.fromkeys(old) if type(old) is dict else dict.fromkeys(new) if type(new) is dict else {}
        if self.kind == "struct":
            for name, (_, presence, _zero) in self.parts.items():
                if presence == "z":
                    names[name] = None
        return names

    def part(self, value: Any, name: str) -> Any:
        """A field of a stored struct or map as Go would encode it, `ABSENT` where that leaves it out."""
        if value is None or value is ABSENT:
            return ABSENT
        found = value.get(name)
        if self.kind == "map":
            return found if name in value else ABSENT
        known = self.parts.get(name)
        if known is None:
            return ABSENT
        _, presence, zero = known
        if presence == "z":
            return zero if found is None else found
        if found is None or (presence == "e" and not found):
            return ABSENT
        return found

    def merged_part(self, value: Any, name: str) -> Any:
        """A field of what an apply has merged: what is written there counts, though it is empty or null."""
        if type(value) is dict and name in value:
            return value[name]
        return self.part(value, name)

    def below(self, name: str) -> Shape | None:
        """The shape of a field; None if there is none of that name."""
        if self.kind == "map":
            return self.element
        found = self.parts.get(name)
        return None if found is None else found[0]

    def item_element(self, item: Any) -> str:
        """The path element of a list's item.

        Raises:
            UntypableError: it has none.
        """
        if self.kind == "set":
            if type(item) in (dict, list):
                why = "a map type" if type(item) is dict else "lists"
                raise UntypableError(f"associative list without keys has an element that's {why}")
            if item is None:
                raise UntypableError("associative list without keys has an element that's an explicit null")
            return value_element(item)
        if type(item) is not dict:
            what = "a null element" if item is None else "non-map elements"
            raise UntypableError(f"associative list with keys may not have {what}")
        keys = [(key, value) for key in self.keys if (value := self._key_value(item, key)) is not None]
        if not keys:
            names = " ".join(f'"{key}"' for key in self.keys)
            raise UntypableError(
                f"associative list with keys has an element that omits all key fields [{names}] "
                "(and doesn't have default values for any key fields)"
            )
        return key_element(tuple(sorted(keys)))

    def _key_value(self, item: dict[str, Any], key: str) -> Any:
        value = item.get(key)
        element = self.element
        if element is None or (value is not None and value != ""):
            return value
        _, presence, zero = element.parts.get(key, (None, "p", None))
        if presence == "z":
            return zero if value is None else value
        return _KEY_DEFAULTS.get(key)


@cache
def shape_of_definition(name: str, *, is_atomic: bool = False) -> Shape:
    """The shape of an object. Its parts are looked up when it is first met, for definitions refer to themselves."""
    found = definition(name)
    if found is None or not found.fields:
        return Shape("scalar", is_leaf=True, type_="any")
    return Shape("struct", is_leaf=is_atomic or found.map_type == "atomic", definition_name=name)


@cache
def shape_of_field(field: Field) -> Shape:
    """The shape of a field's value."""
    is_atomic = field.map_type == "atomic"
    if field.type == "object":
        return shape_of_definition(field.ref, is_atomic=is_atomic)
    if field.type == "map":
        return Shape("map", is_leaf=is_atomic, element=_element(field))
    if field.type == "array":
        return _list(field)
    return _scalar(field.type)


def _list(field: Field) -> Shape:
    list_type, keys = field.list_type, field.map_keys
    if not list_type and "merge" in field.patch_strategy.split(","):
        list_type, keys = ("map", (field.merge_key,)) if field.merge_key else ("set", ())
    if list_type not in ("map", "set"):
        return Shape("list", is_leaf=True, element=_element(field))
    return Shape("keyed" if keys else "set", keys=keys, element=_element(field))


def _element(field: Field) -> Shape:
    if field.items_ref:
        return shape_of_definition(field.items_ref)
    if field.items == "array":
        return Shape("list", is_leaf=True, element=_scalar("string"))
    return _scalar(field.items)


@cache
def _scalar(type_: str) -> Shape:
    return Shape("scalar", is_leaf=True, type_=type_)
