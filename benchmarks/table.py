"""The whole table of docs/performance.md, each row measured in a process of its own."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

_PAGE = Path("docs/performance.md")
_HTTP_GOALS = {
    "GET of one Pod": 8_000,
    "LIST of 500 Pods": 1_000,
    "events to 100 watches": 50_000,
    "creates of 10,000 Pods": 1_500,
}


def _run(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", *arguments, "--json"]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603
    return result


def measure() -> list[tuple[str, str, str]]:
    """Rows of what is measured, the goal, and the figure."""
    small, large = (
        _run("cluster", "--nodes", "1000", "--pods", "10000"),
        _run("cluster", "--nodes", "5000", "--pods", "150000"),
    )
    ratio = large["microseconds_per_pod"] / small["microseconds_per_pod"]
    idle = _run("idle")
    search = _run("search")
    http = _run("http")
    return [
        ("`python -m kubesim --help`", "0.15 s", f"{_run('startup')['median']:.3f} s"),
        ("`python -m kubesim run specs/stack.yaml`, start to exit", "1.0 s", f"{_run('story')['median']:.2f} s"),
        ("an empty 3-node cluster, made and ready, in process", "50 ms", f"{_run('empty')['median']:.0f} ms"),
        ("10,000 Pods to Ready on 1,000 nodes", "2,000 Pods/s", f"{small['pods_per_second']:,} Pods/s"),
        (
            "150,000 Pods to Ready on 5,000 nodes, from nothing",
            "90 s, 4 GB",
            f"{large['seconds']:.0f} s, {large['max_rss_bytes'] / 1e9:.2f} GB",
        ),
        ("cost per Pod at 150,000 against 10,000", "≤ 1.3 ×", f"{ratio:.2f} ×"),
        ("idle 3-node cluster with the stack, virtual over wall", "100,000 ×", f"{idle['virtual_over_wall']:,} ×"),
        (
            "schedules of faults on the stack, ten virtual minutes, one core",
            "100/s",
            f"{search['schedules_per_second']}/s",
        ),
        ("two workers against one", "≥ 1.8 ×", f"{search['speed_up']} ×"),
        *(
            (f"`kubesim serve`, plain HTTP: {name}", f"{goal:,}/s", f"{_of_http(http, name)['per_second']:,}/s")
            for name, goal in _HTTP_GOALS.items()
        ),
        ("`kubesim serve`, start to first answer", "0.5 s", f"{http['start to first answer: kubesim']['seconds']} s"),
    ]


def _of_http(http: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = http[f"{name}: kubesim, plain HTTP"]
    return found


def main(write: bool, as_json: bool) -> int:
    """Measure, print, and with `write` put the table into the page."""
    rows = measure()
    if as_json:
        print(json.dumps([dict(zip(("measured", "goal", "figure"), row, strict=True)) for row in rows]))
        return 0
    lines = ["| measured | goal | figure |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    text = "\n".join(lines)
    print(f"CPython {platform.python_version()}\n{text}")
    if write:
        page = _PAGE.read_text(encoding="utf-8")
        page = re.sub(r"(?s)(<!-- table -->\n).*?(\n<!-- end -->)", lambda match: match[1] + text + match[2], page)
        _PAGE.write_text(page, encoding="utf-8")
    return 0
