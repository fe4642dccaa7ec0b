"""Label selectors and node selectors as predicates.

Every form of selector is first a tuple of `Requirement`s and then one closure over the labels of an object, made once
per selector and cached, for selectors are asked far more often than they change.

A selector that is absent and one that is empty differ: absent selects nothing, empty selects everything. Fields that
mean it otherwise (a NetworkPolicy's peer, a Service) decide before they call.

Upstream: apimachinery/pkg/labels/selector.go, apimachinery/pkg/apis/meta/v1/helpers.go,
component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from kubesim.api import names
from kubesim.api.int_or_string import parse_int64
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object

Labels = Mapping[str, str]
Predicate = Callable[[Labels], bool]
NodePredicate = Callable[[Labels, str], bool]

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_NODE_OPERATORS = {**_OPERATORS, "Gt": "gt", "Lt": "lt"}
_SYMBOLS = {"=": "=", "==": "==", "!=": "!=", "in": " in ", "notin": " notin ", "gt": ">", "lt": "<"}
_CACHED_MAX = 50_000


class SelectorError(ValueError):
    """The selector cannot be understood; the message is upstream's."""


class Requirement(NamedTuple):
    """One condition on labels; `operator` is `=`, `==`, `!=`, `in`, `notin`, `exists`, `!`, `gt` or `lt`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        values = ",".join(sorted(self.values))
        if self.operator in {"in", "notin"}:
            values = f"({values})"
        return f"{self.key}{_SYMBOLS[self.operator]}{values}"


def everything(_labels: Labels) -> bool:
    """The predicate of the empty selector."""
    return True


def nothing(_labels: Labels) -> bool:
    """The predicate of the absent selector."""
    return False


def quoted(text: str) -> str:
    """A string as Go's %q prints it, for the plain cases that names and labels are."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _list_text(values: Sequence[str]) -> str:
    return f"[{','.join(quoted(value) for value in values)}]" if values else "null"


def _count_problem(operator: str, values: Sequence[str]) -> str:
    if operator in {"in", "notin"} and not values:
        return "for 'in', 'notin' operators, values set can't be empty"
    if operator in {"=", "==", "!="} and len(values) != 1:
        return "exact-match compatibility requires one single value"
    if operator in {"exists", "!"} and values:
        return "values set must be empty for exists and does not exist"
    if operator in {"gt", "lt"} and len(values) != 1:
        return "for 'Gt', 'Lt' operators, exactly one value is required"
    return ""


def new_requirement(key: str, operator: str, values: Sequence[str], path: str = "") -> Requirement:
    """A checked requirement; `path` is the field that error texts name.

    Raises:
        SelectorError: all that is wrong with key and values.

    Upstream: labels/selector.go:NewRequirement @v1.36
    """
    problems = []
    prefix = f"{path}." if path else ""
    key_problems = names.qualified_name(key)
    if key_problems:
        problems.append(f"{prefix}key: Invalid value: {quoted(key)}: {'; '.join(key_problems)}")
    count = _count_problem(operator, values)
    if count:
        problems.append(f"{prefix}values: Invalid value: {_list_text(values)}: {count}")
    if operator in {"gt", "lt"}:
        problems += [
            f"{prefix}values[{at}]: Invalid value: {quoted(value)}: "
            "for 'Gt', 'Lt' operators, the value must be an integer"
            for at, value in enumerate(values)
            if parse_int64(value) is None
        ]
    for at, value in enumerate(values):
        value_problems = names.label_value(value)
        if value_problems:
            problems.append(f"{prefix}values[{at}][{key}]: Invalid value: {quoted(value)}: {'; '.join(value_problems)}")
    if problems:
        distinct = list(dict.fromkeys(problems))
        raise SelectorError(distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]")
    return Requirement(key, operator, tuple(values))


def _compile_comparison(key: str, operator: str, bound_text: str) -> Predicate:
    bound = parse_int64(bound_text)
    if bound is None:
        return nothing

    def compares(labels: Labels) -> bool:
        text = labels.get(key)
        number = None if text is None else parse_int64(text)
        return number is not None and (number > bound if operator == "gt" else number < bound)

    return compares


def _compile_requirement(requirement: Requirement) -> Predicate:
    key, operator, values = requirement
    if operator == "exists":
        return lambda labels: key in labels
    if operator == "!":
        return lambda labels: key not in labels
    if operator in {"gt", "lt"}:
        return _compile_comparison(key, operator, values[0])
    if operator in {"=", "=="}:
        return _compile_equalities({key: values[0]})
    allowed = frozenset(values)
    if operator == "in":
        return lambda labels: labels.get(key) in allowed
    return lambda labels: labels.get(key) not in allowed


def _compile_equalities(wanted: Mapping[str, str]) -> Predicate:
    pairs = tuple(wanted.items())
    if len(pairs) == 1:
        ((key, value),) = pairs
        return lambda labels: labels.get(key) == value
    if len(pairs) == 2:
        (first, first_value), (second, second_value) = pairs
        return lambda labels: labels.get(first) == first_value and labels.get(second) == second_value

    def equals_all(labels: Labels) -> bool:
        for key, value in pairs:  # noqa: SIM110 - a generator would double the cost
            if labels.get(key) != value:
                return False
        return True

    return equals_all


def compile_requirements(requirements: Iterable[Requirement]) -> Predicate:
    """The predicate that holds where every requirement does."""
    wanted: dict[str, str] = {}
    tests: list[Predicate] = []
    for requirement in requirements:
        if requirement.operator in {"=", "=="} and requirement.key not in wanted:
            wanted[requirement.key] = requirement.values[0]
        else:
            tests.append(_compile_requirement(requirement))
    if wanted:
        tests.insert(0, _compile_equalities(wanted))
    if not tests:
        return everything
    if len(tests) == 1:
        return tests[0]

    def holds_all(labels: Labels) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would double the cost
            if not test(labels):
                return False
        return True

    return holds_all


def requirements_of(selector: Object) -> tuple[Requirement, ...]:
    """The requirements of a `metav1.LabelSelector`, by key.

    Raises:
        SelectorError: an operator, key or value that no selector may have.

    Upstream: meta/v1/helpers.go:LabelSelectorAsSelector @v1.36
    """
    requirements = [new_requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(f"{quoted(expression.get('operator', ''))} is not a valid label selector operator")
        requirements.append(new_requirement(expression.get("key", ""), operator, expression.get("values") or ()))
    requirements.sort(key=lambda requirement: requirement.key)
    return tuple(requirements)


_compiled: IdentityMemo[Predicate] = IdentityMemo(
    lambda selector: compile_requirements(requirements_of(selector)), _CACHED_MAX
)


def compile_selector(selector: Object | None) -> Predicate:
    """The predicate of a `metav1.LabelSelector`: `nothing` for None, `everything` for an empty one.

    Cached by the identity of the selector.

    Raises:
        SelectorError: as `requirements_of`.
    """
    return nothing if selector is None else _compiled(selector)


def compile_match_labels(labels: Mapping[str, str] | None) -> Predicate:
    """The predicate of a plain map, as Services and ReplicationControllers have; absent and empty select everything.

    Upstream: labels/selector.go:SelectorFromSet @v1.36
    """
    return _compile_label_items(tuple(labels.items())) if labels else everything


@lru_cache(_CACHED_MAX)
def _compile_label_items(items: tuple[tuple[str, str], ...]) -> Predicate:
    return _compile_equalities(dict(items))


def selector_text(selector: Object | None) -> str:
    """The selector in its string form, as a Scale's `status.selector` has it; empty for none and for everything."""
    return "" if selector is None else ",".join(map(str, requirements_of(selector)))


def format_selector(selector: Object | None) -> str:
    """The string form for people. Upstream: meta/v1/helpers.go:FormatLabelSelector @v1.36"""
    try:
        return selector_text(selector) or "<none>"
    except SelectorError:
        return "<error>"


def _compile_field_expressions(expressions: Sequence[Object]) -> Callable[[str], bool] | None:
    """The test of a node's name, or None where an expression is invalid and its term can never match."""
    tests: list[tuple[str, bool, str]] = []
    for expression in expressions:
        values: Sequence[str] = expression.get("values") or ()
        if expression.get("operator") not in {"In", "NotIn"} or len(values) != 1:
            return None
        tests.append((expression["key"], expression["operator"] == "In", values[0]))

    def names_match(node_name: str) -> bool:
        for key, wanted, value in tests:  # noqa: SIM110 - a generator would double the cost
            if ((node_name if key == "metadata.name" else "") == value) is not wanted:
                return False
        return True

    return names_match


def _no_node(_labels: Labels, _node_name: str) -> bool:
    return False


def _compile_term(term: Object) -> NodePredicate:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return _no_node
    requirements = []
    try:
        for expression in expressions:
            operator = _NODE_OPERATORS.get(expression.get("operator", ""), "")
            if not operator:
                return _no_node
            requirements.append(new_requirement(expression["key"], operator, expression.get("values") or ()))
    except SelectorError:
        # Upstream reports a term that does not parse only when no other term matched, and then finds no node either.
        return _no_node
    labels_match = compile_requirements(requirements)
    if not fields:
        return lambda labels, _node_name: labels_match(labels)
    name_matches = _compile_field_expressions(fields)
    if name_matches is None:
        return _no_node
    return lambda labels, node_name: labels_match(labels) and (not node_name or name_matches(node_name))


_compiled_terms: IdentityMemo[NodePredicate] = IdentityMemo(_compile_term, _CACHED_MAX)


def compile_node_selector_term(term: Object) -> NodePredicate:
    """The predicate over a node's labels and name of one term; an empty or invalid term matches no node.

    Upstream: nodeaffinity.go:newNodeSelectorTerm @v1.36
    """
    return _compiled_terms(term)


def matches_node_selector(selector: Object, labels: Labels, node_name: str) -> bool:
    """Whether any term of a `v1.NodeSelector` matches the node.

    Upstream: nodeaffinity.go:LazyErrorNodeSelector.Match @v1.36
    """
    for term in selector.get("nodeSelectorTerms") or ():  # noqa: SIM110 - a generator would double the cost
        if compile_node_selector_term(term)(labels, node_name):
            return True
    return False
