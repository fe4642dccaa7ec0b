"""`python -m kubesim`: the command line."""

from __future__ import annotations

from kubesim.cli.main import entry

if __name__ == "__main__":
    entry()
