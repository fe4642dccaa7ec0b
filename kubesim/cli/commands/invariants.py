"""`kubesim invariants`: what must hold in a cluster whatever is done to it."""

from __future__ import annotations

import argparse
import sys

from kubesim.checks.describing import list_lines, page


def invariants(arguments: argparse.Namespace) -> int:
    """Print the table; returns the exit code."""
    if arguments.markdown:
        sys.stdout.write(page())
    else:
        sys.stdout.writelines(f"{line}\n" for line in list_lines())
    return 0
