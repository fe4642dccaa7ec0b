"""Limits on how much an object may hold, too large for the recorded table. Texts recorded from Kubernetes 1.36.3."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from kubesim.api import kinds
from kubesim.api.defaults import default
from kubesim.api.scheme import Kind
from kubesim.api.validation import validate_create

MIB = 1024 * 1024
LARGE = "Too long: may not be more than 1048576 bytes"


def _slice(endpoints: list[Any]) -> dict[str, Any]:
    return {"addressType": "IPv4", "endpoints": endpoints}


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        (kinds.CONFIG_MAP, {"data": {"a": "x" * MIB}}, None),
        (kinds.CONFIG_MAP, {"data": {"a": "x" * (MIB + 1)}}, ("FieldValueTooLong", "[]", LARGE)),
        (
            kinds.CONFIG_MAP,
            {"data": {"a": "x"}, "binaryData": {"b": b64encode(b"x" * MIB).decode()}},
            ("FieldValueTooLong", "[]", LARGE),
        ),
        (kinds.SECRET, {"stringData": {"a": "x" * MIB}}, None),
        (kinds.SECRET, {"stringData": {"a": "x" * (MIB + 1)}}, ("FieldValueTooLong", "data", LARGE)),
        (
            kinds.ENDPOINT_SLICE,
            _slice([{"addresses": [f"10.1.1.{index}" for index in range(101)]}]),
            ("FieldValueTooMany", "endpoints[0].addresses", "Too many: 101: must have at most 100 items"),
        ),
        (
            kinds.ENDPOINT_SLICE,
            _slice([{"addresses": ["10.1.1.1"]}] * 1001),
            ("FieldValueTooMany", "endpoints", "Too many: 1001: must have at most 1000 items"),
        ),
    ],
)
def test_an_object_holds_so_much_and_no_more(kind: Kind, content: dict[str, Any], expected: Any) -> None:
    """The limit itself is allowed; data is measured decoded."""
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "one", "namespace": "default"}}

    causes = validate_create(kind, default(kind, {**obj, **content}))

    assert causes == ([expected] if expected else [])
