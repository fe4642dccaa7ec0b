"""How single causes are worded."""

from __future__ import annotations

import pytest

from kubesim.api.validation import field


@pytest.mark.parametrize(
    "value, printed",
    [
        pytest.param("a", '"a"', id="strings are quoted"),
        pytest.param('a"\\\n\x00é\u200b', '"a\\"\\\\\\n\\x00é\\u200b"', id="strings are escaped as %q does"),
        pytest.param(3, "3", id="numbers are bare"),
        pytest.param(True, "true", id="booleans are bare"),
        pytest.param(None, "null", id="nil is null"),
        pytest.param({"app": "y"}, '{"app":"y"}', id="maps are JSON without spaces"),
        pytest.param(["a<b", "c&d"], '["a\\u003cb","c\\u0026d"]', id="JSON is escaped for HTML"),
    ],
)
def test_values_are_printed_as_go_prints_them(value, printed):
    """Upstream: apimachinery/pkg/util/validation/field/errors.go:ErrorBody @v1.36"""
    assert field.invalid("spec.x", value, "must be y").message == f"Invalid value: {printed}: must be y"


@pytest.mark.parametrize(
    "cause, reason, message",
    [
        pytest.param(field.required("p"), "FieldValueRequired", "Required value", id="a bare required value"),
        pytest.param(field.required("p", "why"), "FieldValueRequired", "Required value: why", id="a required value"),
        pytest.param(field.duplicate("p", "a"), "FieldValueDuplicate", 'Duplicate value: "a"', id="a duplicate"),
        pytest.param(field.forbidden("p", "why"), "FieldValueForbidden", "Forbidden: why", id="something forbidden"),
        pytest.param(field.not_found("p", "a"), "FieldValueNotFound", 'Not found: "a"', id="something not found"),
        pytest.param(field.internal("p", "why"), "InternalError", "Internal error: why", id="an internal error"),
        pytest.param(
            field.not_supported("p", "a", ("b", "c")),
            "FieldValueNotSupported",
            'Unsupported value: "a": supported values: "b", "c"',
            id="an unsupported value",
        ),
        pytest.param(
            field.too_long("p", 63), "FieldValueTooLong", "Too long: may not be more than 63 bytes", id="a long value"
        ),
        pytest.param(
            field.too_many("p", 3, 1), "FieldValueTooMany", "Too many: 3: must have at most 1 item", id="a long list"
        ),
        pytest.param(
            field.type_invalid("p", 3, "why"), "FieldValueTypeInvalid", "Invalid value: 3: why", id="a wrong type"
        ),
    ],
)
def test_each_reason_has_its_words(cause, reason, message):
    """Upstream: apimachinery/pkg/util/validation/field/errors.go @v1.36"""
    assert cause == (reason, "p", message)
