"""Writes docs/conformance.md from the JUnit files of runs of Kubernetes' own conformance tests against `kubesim serve`.

python tests/serve/conformance_page.py FOLDER…
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
# Why a test does not pass, by the words with which its name begins or by a part of it: the first that fits.
REASONS = {
    "AdmissionWebhook": "webhooks are refused (501)",
    "MutatingAdmissionPolicy": "admission policies are refused (501)",
    "ValidatingAdmissionPolicy": "admission policies are refused (501)",
    "CustomResource": "custom resources are refused (501)",
    "for CRDs": "custom resources are refused (501)",
    " CR ": "custom resources are refused (501)",
    "a CR": "custom resources are refused (501)",
    "Aggregator": "other API servers are not aggregated (501)",
    "] Job": "Jobs have no controller",
    "CronJob": "CronJobs have no controller",
    "Daemon set": "DaemonSets have no controller",
    "ControllerRevision": "DaemonSets, of which it looks at the revisions, have no controller",
    "ResourceQuota": "quotas are neither counted nor enforced",
    "ReplicationController": "ReplicationControllers have no controller",
    "by rc": "ReplicationControllers have no controller",
    "rc ": "ReplicationControllers have no controller",
    "both valid owner": "ReplicationControllers have no controller",
    "proportional scaling": "every image can be pulled, so a rollout that is to get stuck does not",
}
# Groups of tests of which at least 85 % are to pass: what the simulator is about.
ABOUT = (
    "[sig-apps] Deployment",
    "[sig-apps] ReplicaSet",
    "[sig-apps] StatefulSet",
    "[sig-apps] ControllerRevision",
    "[sig-apps] DisruptionController",
    "[sig-api-machinery] Watchers",
    "[sig-api-machinery] Garbage collector",
    "[sig-api-machinery] Namespaces",
    "[sig-api-machinery] OrderedNamespaceDeletion",
    "[sig-api-machinery] Servers with support",
    "[sig-api-machinery] Discovery",
    "[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object",
    "[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object",
    "[sig-api-machinery] server version",
)
HEAD = """# Conformance

Kubernetes 1.36's own conformance tests (`e2e.test`) of sig-apps and sig-api-machinery, run against `kubesim serve --speed 5`
with three nodes; the five that are marked Slow are left out. `tests/serve/conformance_page.py` writes this page from the
results.

"""


def main(folders: list[str]) -> None:
    """Write the page; of a test that was run several times the last result counts."""
    results = {}
    for folder in folders:
        for file in sorted(Path(folder).glob("junit*.xml")):
            for case in ET.parse(file).iter("testcase"):  # noqa: S314 - our own run's
                status, name = case.get("status"), case.get("name", "")
                if status not in ("skipped", "pending") and name.startswith("[It]"):
                    # A test that panics has failed.
                    results[name] = "passed" if status == "passed" else "failed"
    names = {name: re.sub(r"\[It\] | \[Conformance\].*", "", name) for name in results}
    failed = sorted(names[name] for name, status in results.items() if status == "failed")
    passed = sorted(names[name] for name, status in results.items() if status == "passed")
    about = [name for name in names.values() if name.startswith(ABOUT)]
    well = sum(name in passed for name in about)
    lines = [
        f"{well} of the {len(about)} tests pass that are about what is simulated: Deployment, ReplicaSet, StatefulSet,\n",
        "ControllerRevision, DisruptionController, Watchers, Garbage collector, Namespaces, chunking, Table transformation,\n",
        "Discovery, field validation of built-in kinds, server version. ",
        f"Of all there are {len(passed)} of {len(results)}.\n\n",
    ]
    lines += ["| does not pass | why |\n|---|---|\n"]
    for name in failed:
        why = next((reason for part, reason in REASONS.items() if part in name), "not looked into yet")
        lines.append(f"| {name} | {why} |\n")
    lines += ["\n| passes |\n|---|\n", *(f"| {name} |\n" for name in passed)]
    PAGE.write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
