"""The domain by itself: VINs, patches, cursors, entity tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vehicle_api.core import (
    BadRequest,
    Invalid,
    decode_cursor,
    encode_cursor,
    merge_patch,
    parse_etags,
    parse_query,
    parse_vehicle,
)
from vehicle_api.vin import compute_check_digit, explain_wrong_check_digit

VEHICLE = {"vin": "1HGCM82633A004352", "make": "Honda", "model": "Accord", "year": 2003}


@pytest.mark.parametrize(
    ("vin", "digit"),
    [
        # The worked examples of 49 CFR 565.15 and of Wikipedia's page on VINs.
        pytest.param("1M8GDM9AXKP042788", "X", id="ten is written X"),
        pytest.param("11111111111111111", "1", id="all ones"),
        pytest.param("1HGCM82633A004352", "3", id="a Honda"),
        pytest.param("5GZCZ43D13S812715", "1", id="a Saturn"),
    ],
)
def test_check_digits_are_those_of_real_vehicles(vin, digit):
    """The ninth character follows from the others."""
    assert compute_check_digit(vin) == digit
    assert explain_wrong_check_digit(vin) == ""


@pytest.mark.parametrize(
    ("vin", "reason"),
    [
        pytest.param("1HGCM82643A004352", "must be 3, not 4", id="North America demands it"),
        pytest.param("LHGCM82643A004352", "the check digit", id="China demands it"),
        pytest.param("WVWZZZ1JZXW000001", "", id="Europe does not"),
        pytest.param("JHMCM56557C404453", "", id="Japan does not"),
    ],
)
def test_check_digits_count_where_they_apply(vin, reason):
    """Outside of North America and China, the maker may put anything there."""
    why = explain_wrong_check_digit(vin)

    assert reason in why
    assert bool(why) == bool(reason)


@given(st.text(alphabet="0123456789ABCDEFGHJKLMNPRSTUVWXYZ", min_size=17, max_size=17), st.integers(0, 16), st.data())
def test_one_mistyped_digit_is_noticed(vin, place, data):
    """Weights are not multiples of 11, so no digit can be another one without the check digit changing."""
    vin = vin[:8] + compute_check_digit(vin) + vin[9:]
    if vin[place].isdigit():
        wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != vin[place]]))
        mistyped = vin[:place] + wrong + vin[place + 1 :]
        assert compute_check_digit(mistyped) != mistyped[8]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"vin": "1HGCM82633A00435"}, "vin", id="a VIN of 16 characters"),
        pytest.param({"vin": "1hgcm82633a004352"}, "vin", id="a VIN in small letters"),
        pytest.param({"vin": "1HGCM82633A00435O"}, "vin", id="a VIN with an O"),
        pytest.param({"vin": "1HGCM82633A004352\n"}, "vin", id="a VIN with a line's end"),
        pytest.param({"vin": None}, "vin", id="no VIN"),
        pytest.param({"make": ""}, "make", id="an empty make"),
        pytest.param({"make": " \u00a0 "}, "make", id="a blank make"),
        pytest.param({"make": "a\0b"}, "make", id="a NUL, which PostgreSQL cannot store"),
        pytest.param({"model": "x" * 81}, "model", id="a model of 81 characters"),
        pytest.param({"model": "a\nb"}, "model", id="a model of two lines"),
        pytest.param({"year": "2003"}, "year", id="a year as text"),
        pytest.param({"year": 1885}, "year", id="a year before the first car"),
        pytest.param({"year": True}, "year", id="a year that is true"),
        pytest.param({"mileage": -1}, "mileage", id="a negative mileage"),
        pytest.param({"mileage": 2**64}, "mileage", id="a mileage beyond the column"),
        pytest.param({"status": "stolen"}, "status", id="an unknown status"),
        pytest.param({"licence_plate": "x"}, "licence_plate", id="a plate in small letters"),
        pytest.param({"licence_plate": ""}, "licence_plate", id="an empty plate"),
        pytest.param({"id": "7"}, "id", id="a field that the service sets"),
    ],
)
def test_what_is_no_vehicle_is_refused_by_its_field(changed, field):
    """The error names the one field that is wrong."""
    with pytest.raises(Invalid) as caught:
        parse_vehicle({**VEHICLE, **changed})

    assert [error.field for error in caught.value.errors] == [field]


def test_an_integer_may_have_a_point():
    """In JSON Schema 2003.0 is an integer; 2003.5 is none."""
    assert parse_vehicle({**VEHICLE, "year": 2003.0, "mileage": 1e3}).mileage == 1000
    with pytest.raises(Invalid):
        parse_vehicle({**VEHICLE, "year": 2003.5})


def test_all_wrong_fields_are_named_at_once():
    """Nobody has to try four times."""
    with pytest.raises(Invalid) as caught:
        parse_vehicle({"vin": "x", "year": 1, "colour": "red"})

    assert {error.field for error in caught.value.errors} == {"vin", "make", "model", "year", "colour"}


@pytest.mark.parametrize("document", [None, [], 7, "vehicle", [VEHICLE]], ids=str)
def test_only_an_object_is_a_vehicle(document):
    """Anything else is refused as a whole."""
    with pytest.raises(Invalid):
        parse_vehicle(document)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        # Appendix A of RFC 7396.
        pytest.param({"a": "b"}, {"a": "c"}, {"a": "c"}, id="change"),
        pytest.param({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}, id="add"),
        pytest.param({"a": "b"}, {"a": None}, {}, id="remove"),
        pytest.param({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}, id="remove one of two"),
        pytest.param({"a": ["b"]}, {"a": "c"}, {"a": "c"}, id="list to text"),
        pytest.param({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}, id="text to list"),
        pytest.param({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}, id="nested"),
        pytest.param({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}, id="lists are replaced"),
        pytest.param(["a", "b"], ["c", "d"], ["c", "d"], id="a list for a list"),
        pytest.param({"a": "b"}, ["c"], ["c"], id="a list for an object"),
        pytest.param({"a": "foo"}, None, None, id="nothing for an object"),
        pytest.param({"e": None}, {"a": 1}, {"e": None, "a": 1}, id="a null that was there stays"),
        pytest.param([1, 2], {"a": "b", "c": None}, {"a": "b"}, id="an object for a list"),
        pytest.param({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}, id="nulls of new objects vanish"),
    ],
)
def test_merge_patches_are_those_of_the_rfc(target, patch, result):
    """Every example of RFC 7396's appendix."""
    assert merge_patch(target, patch) == result


@given(
    st.integers(0, 2**63 - 1), st.fixed_dictionaries({}, optional={"make": st.text(max_size=9), "year": st.integers()})
)
def test_a_cursor_comes_back_as_it_went(seq, filters):
    """For the same filters, whatever their order."""
    cursor = encode_cursor(seq, filters)

    assert decode_cursor(cursor, dict(reversed(filters.items()))) == seq


@pytest.mark.parametrize("cursor", ["x", "AAAA", "W10", "bnVsbA", "Wy0xLDBd", "WzEsMF0=", "é", "Wyd4JywwXQ"], ids=repr)
def test_a_cursor_of_somebody_elses_making_is_refused(cursor):
    """It is told from one that belongs to other filters."""
    with pytest.raises(BadRequest, match="cursor"):
        decode_cursor(cursor, {})


def test_a_cursor_fits_only_its_own_filters():
    """Another list has another order of pages."""
    with pytest.raises(BadRequest, match="other filters"):
        decode_cursor(encode_cursor(7, {"make": "Honda"}), {"make": "BMW"})


@pytest.mark.parametrize(
    ("header", "is_weak_welcome", "versions"),
    [
        pytest.param('"7"', False, ("7",), id="one"),
        pytest.param('"7", "8" ,"9"', False, ("7", "8", "9"), id="three"),
        pytest.param("*", False, None, id="any"),
        pytest.param('W/"7"', False, (), id="weak for If-Match"),
        pytest.param('W/"7"', True, ("7",), id="weak for If-None-Match"),
        pytest.param('"a,b"', False, ("a,b",), id="a comma inside"),
    ],
)
def test_entity_tags_are_read(header, is_weak_welcome, versions):
    """RFC 9110, 8.8.3 and 13.1."""
    assert parse_etags(header, is_weak_welcome=is_weak_welcome) == versions


@pytest.mark.parametrize("header", ["7", '"7', "", '"7" "8"', "*, 7"], ids=repr)
def test_what_is_no_entity_tag_is_refused(header):
    """Rather than matching nothing."""
    with pytest.raises(BadRequest):
        parse_etags(header, is_weak_welcome=False)


@pytest.mark.parametrize(
    "query", [{"limit": "1_0"}, {"limit": " 1"}, {"limit": "1.0"}, {"limit": "٣"}, {"year": "x"}], ids=str
)
def test_numbers_in_queries_are_plain(query):
    """Python's own ideas of a number are not HTTP's."""
    with pytest.raises(BadRequest, match=next(iter(query))):
        parse_query(list(query.items()))
