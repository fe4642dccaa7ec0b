"""What is printed of predictions beside what was measured."""

from __future__ import annotations

import argparse
import sys

import yaml

from kubesim.cli.inputs import read_input
from kubesim.cli.report.comparison import comparison_lines
from kubesim.cli.report.prediction import predict
from kubesim.cli.terminal import Paint
from kubesim.scenario.outcome import Outcome, Requests, StepOutcome, Writes
from kubesim.sim.loop import MILLISECOND, SECOND
from kubesim.users.report import Counts


def outcome(healed_s, recovery_s, served, lost=()):
    """A run of one step with a hundred requests."""
    counts = Counts(served, 0, 0, 100 - served, 0)
    step = StepOutcome(
        title="The database is killed",
        action="crash",
        subject="",
        start_ns=0,
        end_ns=1,
        healed_ns=None if healed_s is None else round(healed_s * SECOND),
        counts=counts,
        recovery_ns=None if recovery_s is None else round(recovery_s * SECOND),
    )
    requests = Requests(service="s", rate_per_second=1, counts=counts, reasons={}, p50_ns=None, p99_ns=None)
    writes = Writes(kept=20 - len(lost), lost=lost, unknown=0, unknown_kept=0)
    return Outcome(
        name="", promise="", start_ns=0, end_ns=1, steps=(step,), checks=(), requests=requests, writes=writes
    )


def table(predicted, measured):
    """The cells of the row of the step, and the last lines."""
    lines = [*comparison_lines(predicted, measured, "real processes", Paint(sys.stdout, is_off=True))]
    [row] = [line for line in lines if line.startswith("The database")]
    return [cell.strip() for cell in row.split("   ") if cell.strip()][1:], lines


def test_several_predictions_are_a_middle_and_a_range():
    """Of each figure; the unit is said once, and the worst prediction of writes counts."""
    predicted = [outcome(1.2, 1, 90), outcome(4.5, 3, 80, lost=("a",)), outcome(0.9, 0, 100)]

    cells, lines = table(predicted, outcome(5, 5, 70))

    assert cells == [
        "1.2 s (900 ms to 4.5 s)",
        "5.0 s",
        "1.0 s (nobody noticed to 3.0 s)",
        "5.0 s",
        "90.00 (80.00 to 100) %",
        "70.00 %",
    ]
    assert "acknowledged writes lost: 1 of 20 predicted, 0 of 20 measured" in lines
    assert "3 runs" in lines[-1]


def test_a_range_of_one_value_is_that_value():
    """Where the moment makes no difference, and where something never came about."""
    cells, _ = table([outcome(None, None, 50), outcome(None, None, 50)], outcome(1, 1, 50))

    assert cells == ["-", "1.0 s", "not yet", "1.0 s", "50.00 %", "50.00 %"]


def test_predictions_begin_a_little_later_each_time(tmp_path):
    """The first pause grows by a quarter of a second from run to run, and all else stays as the file says."""
    pod = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "worker:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": pod}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(manifest))
    step = {"step": "x", "after": "5s", "crash": "deployment/a", "until": ["deployment/a ready"]}
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump({"name": "one", "promise": "It heals.", "manifests": ["a.yaml"], "steps": [step]})
    )
    arguments = argparse.Namespace(
        scenario=str(tmp_path / "s.yaml"), spec=[], seed=None, nodes=None, node_cpu=None, node_memory=None
    )

    starts = [each.steps[-1].start_ns for each in predict(read_input(arguments))]

    assert [start - starts[0] for start in starts] == [250 * MILLISECOND * moment for moment in range(8)]
