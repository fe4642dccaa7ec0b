"""`kubesim faults`: what can be done to a cluster."""

from __future__ import annotations

import argparse
import sys

from kubesim.faults.describing import list_lines, page


def faults(arguments: argparse.Namespace) -> int:
    """Print the catalogue; returns the exit code."""
    if arguments.markdown:
        sys.stdout.write(page())
    else:
        sys.stdout.writelines(f"{line}\n" for line in list_lines())
    return 0
