"""Writes docs/conformance.md from the JUnit files of runs of Kubernetes' own conformance tests against `kubesim serve`.

python tests/serve/conformance_page.py FOLDER…
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
# Why a test does not pass, by a part of its name.
REASONS = {
    " CR ": "custom resources are refused (501)",
    "a CR": "custom resources are refused (501)",
    "by rc": "ReplicationControllers have no controller",
    "rc should": "ReplicationControllers have no controller",
    "rcs": "ReplicationControllers have no controller",
    "proportional scaling": "every image can be pulled, so a rollout that is to get stuck does not",
    "PodDisruptionBudget status": "virtual time runs ahead of the test's clock; passes at `--speed 1`",
}
HEAD = """# Conformance

Kubernetes 1.36's own conformance tests (`e2e.test`), run against `kubesim serve --speed 5`: those of Deployment, ReplicaSet,
DisruptionController, Watchers, Garbage collector, OrderedNamespaceDeletion, chunking, Table transformation, Discovery, field
validation and server version. Slow, serial and disruptive ones are left out, and so are all of Namespaces and
ControllerRevision. Those of StatefulSet and AggregatedDiscovery have no result yet.
`tests/serve/conformance_page.py` writes this page from the results.

"""


def main(folders: list[str]) -> None:
    """Write the page; of a test that was run several times the last result counts."""
    results = {}
    for folder in folders:
        for file in sorted(Path(folder).glob("junit*.xml")):
            for case in ET.parse(file).iter("testcase"):  # noqa: S314 - our own run's
                if case.get("status") in ("passed", "failed") and case.get("name", "").startswith("[It]"):
                    results[case.get("name")] = case.get("status")
    names = {name: re.sub(r"\[It\] | \[Conformance\].*", "", name) for name in results}
    failed = sorted(names[name] for name, status in results.items() if status == "failed")
    passed = sorted(names[name] for name, status in results.items() if status == "passed")
    lines = [f"{len(passed)} of {len(results)} pass.\n\n", "| does not pass | why |\n|---|---|\n"]
    for name in failed:
        why = next((reason for part, reason in REASONS.items() if part in name), "not looked into yet")
        lines.append(f"| {name} | {why} |\n")
    lines += ["\n| passes |\n|---|\n", *(f"| {name} |\n" for name in passed)]
    PAGE.write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
