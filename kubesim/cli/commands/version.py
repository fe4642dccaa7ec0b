"""`kubesim version`."""

from __future__ import annotations

import sys

VERSION = "0.1.0"
KUBERNETES = "1.36"


def version() -> int:
    """Print which kubesim this is and which Kubernetes it models."""
    sys.stdout.write(f"kubesim {VERSION} (models Kubernetes {KUBERNETES})\n")
    return 0
