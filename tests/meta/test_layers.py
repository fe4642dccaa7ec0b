"""The direction of imports, and what a start of the program may not load."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

from source_tree import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
# Loaded only by the command that needs them; together they cost more than a whole run of the default story may.
HEAVY = ("yaml", "networkx", "hypothesis", "pydantic", "kubernetes", "kubesim.cluster")


def test_import_contracts_hold():
    """`lint-imports` finds the contracts of pyproject.toml kept."""
    # In a process of its own: it sets up logging anew, and with that stops every logger that other tests listen to.
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_layers_in_the_docs_are_the_ones_that_are_checked():
    """docs/architecture.md has one heading per layer, from the bottom up."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    headings = re.findall(r"^### ([a-z |]+)$", page, re.MULTILINE)
    layers = [layer.replace("(", "").replace(")", "") for layer in CONTRACTS[0]["layers"]]

    expected = [" | ".join(sorted(layer.split(" | "))) for layer in reversed(layers)]
    assert headings == expected, "give docs/architecture.md a heading `### layer` and a paragraph for each"


def test_a_start_loads_nothing_heavy():
    """Importing the command line loads neither YAML nor the cluster; `kubesim --help` has 0.15 s."""
    code = "import sys, kubesim.cli.main; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = [name for name in HEAVY if name in done.stdout.split()]
    assert not loaded, f"import these inside the command that needs them: {', '.join(loaded)}"
