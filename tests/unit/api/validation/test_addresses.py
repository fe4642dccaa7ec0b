"""Addresses and CIDRs, after apimachinery/pkg/util/validation/ip_test.go @v1.36 with strict validation on."""

from __future__ import annotations

import pytest

from kubesim.api.validation import addresses

NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@pytest.mark.parametrize(
    ("text", "family", "problem"),
    [
        ("1.2.3.4", "IPv4", ""),
        ("255.255.255.255", "IPv4", ""),
        ("1234::abcd", "IPv6", ""),
        ("1234::1.2.3.4", "IPv6", ""),
        ("FE80:0:0:0:0:0:0:0abc", "IPv6", ""),
        ("010.002.003.004", "IPv4", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "IPv4", "must not be an IPv4-mapped IPv6 address"),
        ("", "", NOT_AN_IP),
        ("example.com", "", NOT_AN_IP),
        ("300.1.2.3", "", NOT_AN_IP),
        ("1.2.3", "", NOT_AN_IP),
        ("1.2.3.4/24", "", NOT_AN_IP),
        ("fe80::1%eth0", "", NOT_AN_IP),
    ],
)
def test_an_address_is_parsed_as_go_parses_it(text: str, family: str, problem: str) -> None:
    """Sloppily for the family, strictly for the verdict."""
    verdict = addresses.parse(text)

    assert (verdict.family, verdict.problem) == (family, problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1.2.3.0/24", ""),
        ("1234::/64", ""),
        ("0.0.0.0/0", ""),
        ("1.2.3.4/24", "must not have bits set beyond the prefix length"),
        ("1.2.3.0/024", "must not have leading 0s in IP or prefix length"),
        ("001.2.3.0/24", "must not have leading 0s in IP or prefix length"),
        ("::ffff:1.2.3.0/120", "must not have an IPv4-mapped IPv6 address"),
        ("1.2.3.0", NOT_A_CIDR),
        ("1.2.3.0/33", NOT_A_CIDR),
        ("example.com/24", NOT_A_CIDR),
    ],
)
def test_a_cidr_is_a_subnet(text: str, problem: str) -> None:
    """The address of its first host and the length of its prefix."""
    causes = list(addresses.legacy_cidr("spec", text))

    assert [cause.message.rpartition('": ')[2] for cause in causes] == ([problem] if problem else [])


def test_what_was_there_before_may_stay() -> None:
    """An address that an older server accepted is no error on update."""
    assert list(addresses.legacy_ip("ip", "010.0.0.1", ["010.0.0.1"])) == []
    assert list(addresses.legacy_cidr("cidr", "10.0.0.1/8", ["10.0.0.1/8"])) == []
