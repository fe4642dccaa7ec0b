"""From YAML values to the typed parts of a scenario: strict, and every mistake is reported, each with its place.

The parts' own annotations say what is allowed, so a new field is one line in `model.py`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, Union, get_args, get_origin

import msgspec

from kubesim.api import quantity
from kubesim.api.kinds import ALL_KINDS, SERVICE
from kubesim.faults import FAULTS, Disturbance, WriteEvent
from kubesim.faults.arguments import Amount, Choice, Duration, End, NodeName, Reference, ServiceReference
from kubesim.manifests.document import Spot
from kubesim.scenario.model import ACTIONS, Bound, Condition, Expectation, Heal, Step

_UNITS_NS: Final = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000}
_STATES: Final = ("ready", "available", "bound", "present", "gone", "cordoned")
_PODS: Final = ("all", "ready", "running", "newReady")
_VERBS: Final = ("created", "updated", "patched", "deleted", "marked")
_SERVICE_WORDS: Final = (SERVICE.singular, SERVICE.plural, *SERVICE.short_names)
_INVALID: Final = object()
# Parts of which one key is chosen from a table: the field that keeps the key, as it is also called, and the table.
_CHOICES: Final[dict[type, tuple[str, dict[str, Any]]]] = {
    Step: ("action", ACTIONS),
    Disturbance: ("fault", {name: kind.argument for name, kind in FAULTS.items()}),
}

Report = Callable[[Spot, str, str], None]


def parse_duration(text: str) -> Duration | None:
    """`90s`, `5m`, `1h30m`, `1.5s` or `250ms` in ns; None for anything else."""
    total = 0.0
    rest = text.strip()
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        unit = next((unit for unit in ("ms", "h", "m", "s") if rest.startswith(unit)), "")
        if not unit or not number.replace(".", "", 1).isdigit():
            return None
        total += float(number) * _UNITS_NS[unit]
        rest = rest[len(unit) :]
    return Duration(round(total)) if text.strip() and total < 1e18 else None


def near(word: str, words: Iterator[str] | tuple[str, ...]) -> str:
    """The one of `words` that is most like `word`, or an empty text."""
    from difflib import get_close_matches

    known = {each.lower(): each for each in words}
    found = get_close_matches(word.lower(), list(known), 1, 0.6)
    return known[found[0]] if found else ""


class Reader:
    """Reads one file's values; `report(spot, what, remedy)` hears of every mistake."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def read(self, part: type[Any], value: Any, spot: Spot, name: str) -> Any:
        """A value as an instance of `part`, or None where a mistake has been reported."""
        result = self._read(part, value, spot, name)
        return None if result is _INVALID else result

    def _read(self, wanted: Any, value: Any, spot: Spot, name: str) -> Any:
        origin = get_origin(wanted)
        if origin in (Union, types.UnionType):
            wanted = next(each for each in get_args(wanted) if each is not type(None))
            origin = get_origin(wanted)
        if wanted is Any:
            return value
        if origin is list:
            return self._list(get_args(wanted)[0], value, spot, name)
        if origin is dict:
            return self._dict(get_args(wanted)[1], value, spot, name)
        if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            return self._part(wanted, value, spot, name)
        return self._scalar(wanted, value, spot, name)

    def _wrong(self, spot: Spot, what: str, remedy: str) -> Any:
        self._report(spot, what, remedy)
        return _INVALID

    def _list(self, item: Any, value: Any, spot: Spot, name: str) -> Any:
        if not isinstance(value, list):
            return self._wrong(spot, f'"{name}" must be a list', "write each entry after a dash")
        spots: Any = spot.inside
        items = [self._read(item, each, spots[i], f"{name}[{i}]") for i, each in enumerate(value)]
        return _INVALID if any(each is _INVALID for each in items) else items

    def _dict(self, item: Any, value: Any, spot: Spot, name: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(spot, f'"{name}" must be a mapping', "write it as KEY: VALUE lines")
        spots: Any = spot.inside
        items = {key: self._read(item, each, spots[key], f"{name}.{key}") for key, each in value.items()}
        return _INVALID if any(each is _INVALID for each in items.values()) else items

    def _part(self, part: type[msgspec.Struct], value: Any, spot: Spot, name: str) -> Any:
        short = _short_form(part, value)
        if short is not None:
            value, spot = short, Spot(spot.line, spot.column, dict.fromkeys(short, spot))
        if not isinstance(value, dict):
            example = f" or a text such as {_EXAMPLES[part.__name__]}" if part.__name__ in _EXAMPLES else ""
            return self._wrong(spot, f'"{name}" must be a mapping{example}', "write it as KEY: VALUE lines")
        fields = _fields(part)
        spots: Any = spot.inside
        given: dict[str, Any] = {}
        chosen = self._choose(part, value, spot, name) if part in _CHOICES else None
        if chosen is not None:
            given |= chosen
        for key, each in value.items():
            field = fields.get(key)
            if chosen is not None and field is None and key in _CHOICES[part][1]:
                continue
            if field is None:
                self._unknown(part, key, spots[key], name)
                given[key] = _INVALID
            elif each is not None or field.type is Any:
                given[field.name] = self._read(field.type, each, spots[key], key)
        for key, field in fields.items():
            if field.required and field.name not in given:
                given[field.name] = self._wrong(spot, f'{_called(name)} has no "{key}"', "add it")
        if any(each is _INVALID for each in given.values()):
            return _INVALID
        result = part(**given)
        wrong = _wrong_choice(result)
        return self._wrong(spot, f"{_called(name)} {wrong[0]}", wrong[1]) if wrong else result

    def _choose(self, part: type[msgspec.Struct], value: dict[str, Any], spot: Spot, name: str) -> dict[str, Any]:
        """The one key that says what is done, and its value, as the fields in which a part keeps them."""
        word, table = _CHOICES[part]
        spots: Any = spot.inside
        keys = [key for key in value if key in table]
        if len(keys) > 1:
            what = f"{_called(name)} has {len(keys)} {word}s ({', '.join(keys)})"
            return {word: self._wrong(spot, what, f"give each {word} an entry of its own")}
        if not keys:
            return {}
        (key,) = keys
        argument = self._read(table[key], {} if value[key] is None else value[key], spots[key], key)
        return {word: key, "argument": argument}

    def _unknown(self, part: type[msgspec.Struct], key: str, spot: Spot, name: str) -> None:
        names = tuple(_fields(part))
        chosen = _CHOICES.get(part)
        nearest = near(key, names if chosen is None else (*names, *chosen[1]))
        remedy = f'did you mean "{nearest}"?' if nearest else f"known are {', '.join(names)}"
        what = f'unknown fault "{key}"' if part is Disturbance else f'{_called(name)} has no field "{key}"'
        self._report(spot, what, remedy)

    def _choice(self, wanted: type[Choice], value: Any, spot: Spot, name: str) -> Any:
        known = wanted.known
        if not isinstance(value, str):
            return self._wrong(spot, f'"{name}" must be the name of a {wanted.what}, not {_shown(value)}', "correct it")
        if value not in known and not value.startswith(wanted.prefixes or ("\0",)):
            nearest = near(value, known)
            remedy = f'did you mean "{nearest}"?' if nearest else f"known are {', '.join(filter(None, known))}"
            return self._wrong(spot, f'there is no {wanted.what} "{value}"', remedy)
        return wanted(value)

    def _scalar(self, wanted: Any, value: Any, spot: Spot, name: str) -> Any:
        if wanted is Duration:
            duration = parse_duration(value) if isinstance(value, str) else None
            if duration is None:
                return self._wrong(
                    spot, f'"{name}" must be a time, not {_shown(value)}', "write it as in 30s, 5m or 250ms"
                )
            return duration
        if wanted in (Reference, ServiceReference):
            parts = value.split("/") if isinstance(value, str) else []
            if len(parts) not in (2, 3) or not all(parts):
                what = f'"{name}" must name an object, not {_shown(value)}'
                return self._wrong(spot, what, "write KIND/NAME, such as deployment/vehicle-api")
            if wanted is ServiceReference and parts[-2] not in _SERVICE_WORDS:
                what = f'"{name}" must name a Service, not {_shown(value)}'
                return self._wrong(spot, what, "write service/NAME, such as service/vehicle-api")
            return wanted(value)
        if isinstance(wanted, type) and issubclass(wanted, Choice):
            return self._choice(wanted, value, spot, name)
        if wanted is Amount:
            if not _is_quantity(value):
                return self._wrong(spot, f'"{name}" must be a quantity, not {_shown(value)}', "write it as in 64Mi")
            return Amount(value)
        if wanted in (NodeName, End) and isinstance(value, str):
            return wanted(value.removeprefix("node/"))
        if wanted is float and type(value) is int:
            return float(value)
        if type(value) is not wanted:
            return self._wrong(spot, f'"{name}" must be {_TYPES[wanted]}, not {_shown(value)}', "correct it")
        return value


def _is_quantity(value: Any) -> bool:
    try:
        return isinstance(value, str) and quantity.value(value) > 0
    except quantity.QuantityError:
        return False


_TYPES: Final = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NodeName: "the name of a node",
    End: "the name of a node, a reference or users",
}
_EXAMPLES: Final = {"Condition": "deployment/vehicle-api ready", "PodTarget": "deployment/vehicle-api"}


def _shown(value: Any) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def _called(name: str) -> str:
    return f'"{name}"' if name else "the scenario"


@lru_cache(maxsize=64)
def _fields(part: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    kept = (_CHOICES[part][0], "argument") if part in _CHOICES else ()
    return {field.encode_name: field for field in msgspec.structs.fields(part) if field.name not in kept}


def _short_form(part: type[msgspec.Struct], value: Any) -> dict[str, Any] | None:
    """What a text or number stands for where a mapping is wanted."""
    if part is Condition and isinstance(value, str):
        reference, _, state = value.partition(" ")
        return {"object": reference, "is": state.strip() or "ready"}
    if part is Bound and isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"equals": value}
    fields = _fields(part)
    if isinstance(value, str) and "of" in fields and not any(f.required for n, f in fields.items() if n != "of"):
        return {"of": value}
    if isinstance(value, str) and "runsNot" in fields:
        return {"node": value}
    if part is Heal and isinstance(value, str):
        return {"fault": value}
    return None


def _wrong_choice(part: Any) -> tuple[str, str] | None:
    """What is wrong with a part whose fields are each well-formed: what, and what to do."""
    if isinstance(part, Condition):
        return _wrong_condition(part)
    if isinstance(part, Expectation):
        names = [name for name in part.__struct_fields__ if getattr(part, name) is not None]
        if len(names) != 1:
            return f"must expect one thing, not {len(names)}", "give each expectation an entry of its own"
        if part.availability is not None and not 0 <= part.availability <= 1:
            return f"expects an availability of {part.availability:g}", "give a share from 0 to 1, such as 0.99"
    if isinstance(part, Step):
        starts = [name for name in ("at", "after", "when") if getattr(part, name) is not None]
        if len(starts) > 1:
            return f"has several starts ({', '.join(starts)})", "keep one of them"
        if not part.action and not part.until and not part.lasts and not part.expect and not starts:
            return "does nothing", "give it an action, or something to wait for or to expect"
    if isinstance(part, Disturbance):
        if not part.fault:
            return "has no fault", f"give it one of {', '.join(FAULTS)}"
        if (part.at is None) == (part.after_write is None):
            return "must strike either at an instant or after a write", "give it one of at and afterWrite"
    if isinstance(part, WriteEvent):
        return _wrong_write(part)
    if isinstance(part, Heal) and part.fault not in FAULTS:
        return f'knows no fault "{part.fault}"', f'did you mean "{near(part.fault, tuple(FAULTS))}"?'
    return None


def _wrong_write(event: WriteEvent) -> tuple[str, str] | None:
    if event.verb and event.verb not in _VERBS:
        return f'knows no verb "{event.verb}"', f"known are {', '.join(_VERBS)}"
    kind = event.of.partition("/")[0]
    if kind and all(each.singular != kind for each in ALL_KINDS):
        nearest = near(kind, tuple(each.singular for each in ALL_KINDS))
        return f'knows no kind "{kind}"', f'did you mean "{nearest}"?' if nearest else "write it as in pod or pod/NAME"
    if event.number < 1:
        return f"counts to {event.number}", "count from 1"
    return None


def _wrong_condition(condition: Condition) -> tuple[str, str] | None:
    questions = [name for name in ("is_", "field", "pods", "event") if getattr(condition, name)]
    if len(questions) != 1:
        return "must ask one question", "give one of is, field, pods or event"
    has_bound = condition.equals is not msgspec.UNSET or condition.at_least is not None or condition.at_most is not None
    if questions[0] in ("field", "pods") and not has_bound:
        return f"says nothing about its {questions[0]}", "add equals, atLeast or atMost"
    for name, value, known in (("is", condition.is_, _STATES), ("pods", condition.pods, _PODS)):
        if value and value not in known:
            nearest = near(value, known)
            remedy = f'did you mean "{nearest}"?' if nearest else f"known are {', '.join(known)}"
            return f'knows no {name} "{value}"', remedy
    return None
