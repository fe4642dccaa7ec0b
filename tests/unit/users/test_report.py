"""Counting requests, and what availability and recovery mean."""

from __future__ import annotations

import pytest

from kubesim.programs.program import Volume
from kubesim.sim.loop import SECOND
from kubesim.users.ledger import Audit, Ledger
from kubesim.users.report import FAILED, PENDING, REFUSED, SERVED, SLOW, Counts, Report

LETTERS = {"s": SERVED, "l": SLOW, "r": REFUSED, "f": FAILED, ".": PENDING}


def report(outcomes):
    """One request a second from second 0; each took as many milliseconds as its number."""
    made = Report()
    for number, letter in enumerate(outcomes):
        made.send(number * SECOND)
        if letter != ".":
            made.finish(number, number * SECOND + number * 1_000_000, LETTERS[letter])
    return made


def test_counts():
    """Slow ones are served; those without an outcome count for nothing."""
    counts = report("sslrf.").overall()

    assert counts == Counts(served=3, slow=1, refused=1, failed=1, pending=1)
    assert (counts.total, counts.availability) == (5, 0.6)


def test_nothing_asked_is_fully_available():
    """No request failed."""
    assert Report().overall().availability == 1.0


def test_a_window_counts_by_the_instant_of_sending():
    """From one instant until before another."""
    assert report("sfrs").count(1 * SECOND, 3 * SECOND) == Counts(0, 0, 1, 1, 0)


def test_buckets():
    """Equal spans from the first request to the last, empty ones too."""
    made = report("ssf")
    made.finish(made.send(7 * SECOND), 8 * SECOND, REFUSED)

    assert [(at_ns // SECOND, counts[:4]) for at_ns, counts in made.buckets(2 * SECOND)] == [
        (0, (2, 0, 0, 0)),
        (2, (0, 0, 0, 1)),
        (4, (0, 0, 0, 0)),
        (6, (0, 0, 1, 0)),
    ]


@pytest.mark.parametrize(
    "outcomes, recovery, outage",
    [
        pytest.param("ssssss", 0, 0, id="nothing failed"),
        pytest.param("ffssss", 0, 0, id="only before the fault"),
        pytest.param("ssffsss", 2, 2, id="two failed from the fault on"),
        pytest.param("sssffsls", 3, 2, id="the fault showed a second later"),
        pytest.param("ssfsrsss", 3, 3, id="a success in between is no recovery"),
        pytest.param("ssfsss.f", 1, 1, id="what follows one without an outcome is left out"),
        pytest.param("ssfss", None, None, id="served for less than two seconds"),
        pytest.param("ssf.sss", None, None, id="the first after the failure has no outcome yet"),
        pytest.param("ssssfr", None, None, id="not recovered"),
    ],
)
def test_recovery(outcomes, recovery, outage):
    """From the fault at second 2 until all are served again; the outage from the first that was not."""
    made = report(outcomes)
    expected = [None if seconds is None else seconds * SECOND for seconds in (recovery, outage)]

    assert [made.recovery_ns(2 * SECOND, 60 * SECOND), made.outage_ns(2 * SECOND, 60 * SECOND)] == expected


@pytest.mark.parametrize(
    "outcomes, began_s, lasted_s",
    [
        ("ssssss", 0, 0),
        ("sffsss", 1, 2),
        ("sfsfsss", 1, 3),
        ("sfsssrrrsss", 5, 3),
        ("srrsssfsss", 1, 2),
        ("ssff", 2, 2),
        ("sfs", 1, 1),
        ("sf.sss", 1, 2),
        ("sflsss", 1, 1),
    ],
)
def test_the_longest_outage(outcomes, began_s, lasted_s):
    """From the first request that was not served to the first of those that all were for two seconds, or the end."""
    made = report(outcomes)

    assert made.longest_outage(0, len(outcomes) * SECOND) == (began_s * SECOND, lasted_s * SECOND)


def test_durations():
    """Quantiles over the served ones."""
    assert report("f" + "s" * 100).duration_ns(0.99) == 100_000_000
    assert report("f").duration_ns(0.5) is None


def test_ledger_against_a_volume():
    """Acknowledged rows must be there; of the unknown ones some may be."""
    ledger = Ledger("vehicles", "vin")
    for key in "abc":
        ledger.acknowledge(key, 1)
    for key in "xy":
        ledger.doubt(key, 2)
    volume = Volume("data")
    volume.files["pgdata/base/vehicles"] = {number: {"vin": vin} for number, vin in enumerate("acx")}

    assert ledger.check(volume) == Audit(kept=2, lost=("b",), unknown=2, unknown_kept=1)
    assert ledger.check(None) == Audit(kept=0, lost=("a", "b", "c"), unknown=2, unknown_kept=0)
