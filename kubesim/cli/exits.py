"""From what a command raises to what a shell sees: one line on standard error and an exit code, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

from kubesim.errors import UserError

EXIT_BAD_INPUT: Final = 2
_EXIT_INTERRUPTED: Final = 128 + 2
_EXIT_BROKEN_PIPE: Final = 128 + 13


def exit_code_of(work: Callable[[], int], install: str = ".", interrupted: str = "interrupted") -> int:
    """What `work` returns, or what stands for what it raised; `install` is what pip needs for a missing package."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = work()
        sys.stdout.flush()
    except UserError as error:
        return complain(str(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("kubesim", "adapters"):
            raise
        return complain(f"the package {error.name!r} is not installed here; run: pip install -e {install}")
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{interrupted}\n")
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # Who read our output has gone; nothing may be flushed to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    return code


def complain(text: str) -> int:
    """Say what is wrong, a line each; returns the exit code for it."""
    sys.stderr.write("".join(f"error: {line}\n" for line in text.split("\n")))
    return EXIT_BAD_INPUT
