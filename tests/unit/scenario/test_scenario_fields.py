"""Reading scenario files: what is accepted, and what is said about every mistake."""

from __future__ import annotations

import pytest

from kubesim.errors import UserError
from kubesim.faults.arguments import Crash
from kubesim.scenario.fields import parse_duration
from kubesim.scenario.file import read_scenario
from kubesim.scenario.model import Condition, describe

HEAD = "name: x\npromise: It holds.\nsteps:\n"


@pytest.mark.parametrize(
    "text, nanoseconds",
    [
        ("90s", 90_000_000_000),
        ("5m", 300_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("250ms", 250_000_000),
        ("1.5s", 1_500_000_000),
        ("0s", 0),
        ("", None),
        ("5", None),
        ("s", None),
        ("5 minutes", None),
        ("-5s", None),
        ("1.2.3s", None),
        ("999999999999h", None),
    ],
)
def test_durations(text, nanoseconds):
    """Numbers with h, m, s or ms, one after another; nothing else is a time."""
    assert parse_duration(text) == nanoseconds


def read(tmp_path, text):
    file = tmp_path / "s.yaml"
    file.write_text(text)
    return read_scenario(file)


@pytest.mark.parametrize(
    "steps, message",
    [
        ("  - crash: {of: pod/a, exitCod: 1}", '4:24: "crash" has no field "exitCod"; did you mean "exitCode"?'),
        ("  - crsh: pod/a", '4:5: "steps[0]" has no field "crsh"; did you mean "crash"?'),
        ("  - crash: {exitCode: 1}", '4:5: "crash" has no "of"; add it'),
        (
            "  - crash: {of: a}",
            "4:13: \"of\" must name an object, not 'a'; write KIND/NAME, such as deployment/vehicle-api",
        ),
        ("  - crash: {of: pod/a, exitCode: one}", "4:24: \"exitCode\" must be a whole number, not 'one'; correct it"),
        (
            "  - within: soon\n    crash: pod/a",
            "4:5: \"within\" must be a time, not 'soon'; write it as in 30s, 5m or 250ms",
        ),
        (
            "  - crash: pod/a\n    hang: pod/b",
            '4:5: "steps[0]" has 2 actions (crash, hang); give each action an entry of its own',
        ),
        (
            "  - at: 1s\n    after: 1s\n    crash: pod/a",
            '4:5: "steps[0]" has several starts (at, after); keep one of them',
        ),
        ("  - step: nothing", '4:5: "steps[0]" does nothing; give it an action, or something to wait for or to expect'),
        ("  - until: pod/a", '4:5: "until" must be a list; write each entry after a dash'),
        ("  - until: [pod/a redy]", '4:13: "until[0]" knows no is "redy"; did you mean "ready"?'),
        (
            "  - until: [{object: pod/a, field: spec}]",
            '4:13: "until[0]" says nothing about its field; add equals, atLeast or atMost',
        ),
        (
            "  - until: [{object: pod/a, is: ready, event: X}]",
            '4:13: "until[0]" must ask one question; give one of is, field, pods or event',
        ),
        (
            "  - expect: [{availability: 99}]",
            '4:14: "expect[0]" expects an availability of 99; give a share from 0 to 1, such as 0.99',
        ),
        (
            "  - expect: [{availability: 1, lostWrites: 0}]",
            '4:14: "expect[0]" must expect one thing, not 2; give each expectation an entry of its own',
        ),
        ("  - for: 1s\n    for: 2s", '5:5: the key "for" was already given at line 4; keep one'),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, steps, message):
    """File, line and column, what is wrong, and what to do, in one line."""
    with pytest.raises(UserError) as caught:
        read(tmp_path, HEAD + steps + "\n")

    assert str(caught.value) == f"{tmp_path}/s.yaml:{message}"


@pytest.mark.parametrize(
    "fault, message",
    [
        ("{at: 1s, losPower: node-1}", '4:14: unknown fault "losPower"; did you mean "losePower"?'),
        (
            "{at: 1s, loadSpike: {of: deployment/web}}",
            "4:26: \"of\" must name a Service, not 'deployment/web'; write service/NAME, such as service/vehicle-api",
        ),
        ("{at: 1s}", '4:5: "faults[0]" has no fault; give it one of crash, '),
        (
            "{at: 1s, crash: pod/a, hang: pod/a}",
            '4:5: "faults[0]" has 2 faults (crash, hang); give each fault an entry of its own',
        ),
        (
            "{crash: pod/a}",
            '4:5: "faults[0]" must strike either at an instant or after a write; give it one of at and afterWrite',
        ),
        (
            "{afterWrite: {verb: made}, crash: pod/a}",
            '4:6: "afterWrite" knows no verb "made"; known are created, updated, patched, deleted, marked',
        ),
        ("{afterWrite: {of: pods}, crash: pod/a}", '4:6: "afterWrite" knows no kind "pods"; did you mean "pod"?'),
        ("{afterWrite: {number: 0}, crash: pod/a}", '4:6: "afterWrite" counts to 0; count from 1'),
        ("{at: 1s, losePower: 3}", '4:14: "losePower" must be a mapping; write it as KEY: VALUE lines'),
        (
            "{at: 1s, losePower: {node: 3}}",
            '4:26: "node" must be the name of a node, not 3; correct it',
        ),
    ],
)
def test_a_mistake_in_a_fault_is_named(tmp_path, fault, message):
    """As in a step: an unknown fault with the nearest one, a start that is missing, a write that cannot be."""
    with pytest.raises(UserError) as caught:
        read(tmp_path, f"name: x\npromise: It holds.\nfaults:\n  - {fault}\n")

    assert str(caught.value).startswith(f"{tmp_path}/s.yaml:{message}")


def test_every_mistake_is_reported(tmp_path):
    """Not only the first one, and in the order of the text."""
    text = "name: 1\npromise: x\nload: {servce: a}\nsteps:\n  - crash: pod/a\n    witin: 1s\n"

    with pytest.raises(UserError) as caught:
        read(tmp_path, text)

    assert [line.partition("s.yaml:")[2][:4] for line in str(caught.value).split("\n")] == [
        "1:1:",
        "3:1:",
        "3:8:",
        "6:5:",
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "name: [\n",
            "2:1: not YAML: while parsing a flow node did not find expected node content; correct the syntax here or just above",
        ),
        ("a: 1\n---\nb: 2\n", " it has 2 documents; a scenario file has one"),
        ("- a\n", '1:1: "" must be a mapping; write it as KEY: VALUE lines'),
    ],
    ids=["not YAML", "two documents", "a list"],
)
def test_what_is_no_scenario(tmp_path, text, message):
    """A file that is something else says so."""
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)

    assert str(caught.value) == f"{tmp_path}/s.yaml:{message}"


def test_short_forms(tmp_path):
    """A reference stands for its mapping, `KIND/NAME STATE` for a condition, a number for a bound."""
    text = "  - crash: pod/a\n    until: [pod/a ready]\n    expect: [{lostWrites: 0}]\n"

    step = read(tmp_path, HEAD + text).scenario.steps[0]

    assert (step.action, step.argument) == ("crash", Crash(of="pod/a"))
    assert step.until == [Condition(object="pod/a", is_="ready")]
    assert step.expect[0].lost_writes.equals == 0


@pytest.mark.parametrize(
    "condition, text",
    [
        (Condition(object="pod/a", is_="ready"), "pod/a is ready"),
        (Condition(object="pod/a", field="status.phase", equals="Failed"), "pod/a status.phase is Failed"),
        (
            Condition(object="deployment/a", pods="newReady", at_least=2),
            "ready Pods of the new version of deployment/a is at least 2",
        ),
        (Condition(object="pod/a", event="BackOff"), "pod/a has an event BackOff"),
    ],
)
def test_conditions_in_words(condition, text):
    """Reports say what was waited for."""
    assert describe(condition) == text
