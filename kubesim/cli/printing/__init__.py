"""A run's objects as `kubectl get` prints them: the server's columns, kubectl's alignment."""

from __future__ import annotations

from kubesim.cli.printing.table import print_tables

__all__ = ["print_tables"]
