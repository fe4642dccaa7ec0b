"""The forms that names, labels, keys and ports must have, each as a function from a string to what is wrong with it.

An empty tuple means that the string is fine; otherwise each entry is the detail that the API server puts into a field
error, word for word. Results are cached because a few names come back for every Pod.

Upstream: apimachinery/pkg/util/validation/validation.go, apimachinery/pkg/api/validate/content/*.go,
apimachinery/pkg/api/validation/generic.go @v1.36
"""

from __future__ import annotations

import re
from functools import lru_cache

Problems = tuple[str, ...]

LABEL_MAX_LENGTH = 63
SUBDOMAIN_MAX_LENGTH = 253
PORT_NAME_MAX_LENGTH = 15
_CACHED = 16384

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORE_SUBDOMAIN = rf"{_UNDERSCORE_LABEL}(\.{_UNDERSCORE_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_PERCENT = "[0-9]+%"
_HEADER = "[-A-Za-z0-9]+"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_MATCH_LABEL = re.compile(_LABEL).fullmatch
_MATCH_SUBDOMAIN = re.compile(_SUBDOMAIN).fullmatch
_MATCH_UNDERSCORE_SUBDOMAIN = re.compile(_UNDERSCORE_SUBDOMAIN).fullmatch
_MATCH_QUALIFIED = re.compile(_QUALIFIED).fullmatch
_MATCH_LABEL_VALUE = re.compile(_LABEL_VALUE).fullmatch
_MATCH_PERCENT = re.compile(_PERCENT).fullmatch
_MATCH_HEADER = re.compile(_HEADER).fullmatch
_MATCH_CONFIG_KEY = re.compile(_CONFIG_KEY).fullmatch
_MATCH_PORT_NAME = re.compile("[-a-z0-9]+").fullmatch
_HAS_LETTER = re.compile("[a-z]").search

NOT_NEGATIVE = "must be greater than or equal to 0"
NON_EMPTY = "must be non-empty"

_LABEL_PROSE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character"
)
_SUBDOMAIN_PROSE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character"
)
_UNDERSCORE_SUBDOMAIN_PROSE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character"
)
_QUALIFIED_PROSE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_VALUE_PROSE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character"
)
_PERCENT_PROSE = "a valid percent string must be a numeric string followed by an ending '%'"
_HEADER_PROSE = "a valid HTTP header must consist of alphanumeric characters or '-'"
_ENV_NAME_PROSE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_CONFIG_KEY_PROSE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"


def too_long(length: int) -> str:
    """The detail of a string that exceeds `length` bytes."""
    return f"must be no more than {length} characters"


def _too_many_bytes(length: int) -> str:
    # The younger of upstream's two packages counts in bytes and says so.
    return f"must be no more than {length} bytes"


def out_of_range(low: int, high: int) -> str:
    """The detail of a number outside `low`..`high`."""
    return f"must be between {low} and {high}, inclusive"


def _pattern_problem(prose: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{prose} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{prose} (e.g. {shown}regex used for validation is '{pattern}')"


def _is_longer(value: str, length: int) -> bool:
    # Upstream counts bytes of UTF-8; a string of ASCII has as many characters.
    return len(value) > length or (not value.isascii() and len(value.encode()) > length)


@lru_cache(_CACHED)
def dns_1123_label(value: str) -> Problems:
    """A DNS label: Namespaces, container names, and most names that end up in DNS."""
    problems = (too_long(LABEL_MAX_LENGTH),) if _is_longer(value, LABEL_MAX_LENGTH) else ()
    if _MATCH_LABEL(value):
        return problems
    if _MATCH_SUBDOMAIN(value):
        return (*problems, "must not contain dots")
    return (*problems, _pattern_problem(_LABEL_PROSE, _LABEL, "my-name", "123-abc"))


@lru_cache(_CACHED)
def dns_1123_subdomain(value: str) -> Problems:
    """A DNS subdomain: the names of most kinds."""
    return _subdomain(value, too_long(SUBDOMAIN_MAX_LENGTH))


def _subdomain(value: str, length_problem: str) -> Problems:
    problems = (length_problem,) if _is_longer(value, SUBDOMAIN_MAX_LENGTH) else ()
    if _MATCH_SUBDOMAIN(value):
        return problems
    return (*problems, _pattern_problem(_SUBDOMAIN_PROSE, _SUBDOMAIN, "example.com"))


@lru_cache(_CACHED)
def dns_1123_subdomain_with_underscore(value: str) -> Problems:
    """A DNS subdomain whose labels may hold underscores: DNS search domains."""
    problems = (too_long(SUBDOMAIN_MAX_LENGTH),) if _is_longer(value, SUBDOMAIN_MAX_LENGTH) else ()
    if _MATCH_UNDERSCORE_SUBDOMAIN(value):
        return problems
    return (*problems, _pattern_problem(_UNDERSCORE_SUBDOMAIN_PROSE, _UNDERSCORE_SUBDOMAIN, "example.com"))


@lru_cache(_CACHED)
def qualified_name(value: str) -> Problems:
    """`name` or `prefix/name`: label and annotation keys, finalizers, resource names, taint keys."""
    name_problem = _pattern_problem(_QUALIFIED_PROSE, _QUALIFIED, "MyName", "my.name", "123-abc")
    parts = value.split("/")
    if len(parts) > 2:
        optional = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a valid label key {name_problem}{optional}",)
    problems: Problems = ()
    if len(parts) == 2:
        details = _subdomain(parts[0], _too_many_bytes(SUBDOMAIN_MAX_LENGTH)) if parts[0] else (NON_EMPTY,)
        problems = tuple(f"prefix part {detail}" for detail in details)
    name = parts[-1]
    if not name:
        problems = (*problems, f"name part {NON_EMPTY}")
    elif _is_longer(name, LABEL_MAX_LENGTH):
        problems = (*problems, f"name part {_too_many_bytes(LABEL_MAX_LENGTH)}")
    if not _MATCH_QUALIFIED(name):
        problems = (*problems, f"name part {name_problem}")
    return problems


@lru_cache(_CACHED)
def label_value(value: str) -> Problems:
    """The value of a label; may be empty."""
    problems = (_too_many_bytes(LABEL_MAX_LENGTH),) if _is_longer(value, LABEL_MAX_LENGTH) else ()
    if _MATCH_LABEL_VALUE(value):
        return problems
    return (*problems, _pattern_problem(_LABEL_VALUE_PROSE, _LABEL_VALUE, "MyValue", "my_value", "12345"))


@lru_cache(_CACHED)
def port_name(value: str) -> Problems:
    """An IANA service name: the names of container and Service ports, and of ports asked for by name."""
    problems = []
    if _is_longer(value, PORT_NAME_MAX_LENGTH):
        problems.append(too_long(PORT_NAME_MAX_LENGTH))
    if not _MATCH_PORT_NAME(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _HAS_LETTER(value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return tuple(problems)


def port_number(value: int) -> Problems:
    """A port from 1 to 65535."""
    return () if 1 <= value <= 65535 else (out_of_range(1, 65535),)


def in_range(value: int, low: int, high: int) -> Problems:
    """An integer from `low` to `high`."""
    return () if low <= value <= high else (out_of_range(low, high),)


@lru_cache(_CACHED)
def percent(value: str) -> Problems:
    """Digits and a percent sign."""
    return () if _MATCH_PERCENT(value) else (_pattern_problem(_PERCENT_PROSE, _PERCENT, "1%", "93%"),)


@lru_cache(_CACHED)
def http_header_name(value: str) -> Problems:
    """The name of an HTTP header in a probe or hook."""
    return () if _MATCH_HEADER(value) else (_pattern_problem(_HEADER_PROSE, _HEADER, "X-Header-Name"),)


@lru_cache(_CACHED)
def env_var_name(value: str) -> Problems:
    """The name of an environment variable: printable ASCII but `=`."""
    problems: Problems = () if value else (f"environment variable name {NON_EMPTY}",)
    if not all(" " <= char <= "~" and char != "=" for char in value):
        problems = (*problems, _ENV_NAME_PROSE)
    return problems


@lru_cache(_CACHED)
def config_map_key(value: str) -> Problems:
    """A key of a ConfigMap or Secret: a plain file name."""
    problems = (too_long(SUBDOMAIN_MAX_LENGTH),) if _is_longer(value, SUBDOMAIN_MAX_LENGTH) else ()
    if not _MATCH_CONFIG_KEY(value):
        examples = ("key.name", "KEY_NAME", "key-name")
        problems = (*problems, _pattern_problem(_CONFIG_KEY_PROSE, _CONFIG_KEY, *examples))
    return (*problems, *_leaves_directory(value))


def _leaves_directory(value: str) -> Problems:
    if value in {".", ".."}:
        return (f"must not be '{value}'",)
    return ("must not start with '..'",) if value.startswith("..") else ()


def path_segment_name(value: str) -> Problems:
    """A name that fits into a URL path: RBAC objects and others with free names."""
    return (f"may not be '{value}'",) if value in {".", ".."} else path_segment_prefix(value)


def path_segment_prefix(value: str) -> Problems:
    """The start of a path segment name."""
    if "/" not in value and "%" not in value:
        return ()
    return tuple(f"may not contain '{illegal}'" for illegal in "/%" if illegal in value)


def generated_prefix(value: str) -> str:
    """What upstream checks in place of a `generateName`: a trailing dash would be followed by a suffix.

    The letter before the dash goes too, which is upstream's slip: `a--` passes although `a-` + suffix would.
    Upstream: apimachinery/pkg/api/validation/generic.go:maskTrailingDash @v1.36
    """
    return f"{value[:-2]}a" if len(value) > 1 and value.endswith("-") else value
