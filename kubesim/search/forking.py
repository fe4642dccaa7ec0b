"""Trying futures of a running cluster: a copy of the whole process per future, made by the kernel as it is written to.

`in_fork` answers the question what a function would return without its having been called: whatever it does to the
cluster happens in the copy. A copy costs about a millisecond, and a microsecond for each page that it changes.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kubesim.errors import SimBug

T = TypeVar("T")


def can_fork() -> bool:
    """Whether this process can be copied: not on Windows, and not while it has threads, which would not come along."""
    return hasattr(os, "fork") and threading.active_count() == 1


@contextmanager
def still_memory() -> Iterator[None]:
    """Within the block nothing is collected, and what is there already is left alone, so that copies stay shared."""
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def in_fork(function: Callable[[], T]) -> T:
    """What the function returns, called in a copy of this process. It and its result are not shared with the copy.

    Raises:
        SimBug: the copy has died.
        Exception: what the function raised.
    """
    reader, writer = os.pipe()
    # An interruption is the parent's to handle: it must not reach the copy on its way to `_answer`, nor in there.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if not child:
        os.close(reader)
        _answer(writer, function)
    try:
        os.close(writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with os.fdopen(reader, "rb") as pipe:
            answer = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    if not answer:
        raise SimBug(f"a copy of the process has died with status {os.waitstatus_to_exitcode(status)}")
    is_error, value = pickle.loads(answer)  # noqa: S301 - from our own child
    if is_error:
        raise value
    result: T = value
    return result


def _answer(writer: int, function: Callable[[], Any]) -> None:
    """In the copy: call, send what came of it and end, without the parent's buffers and exit handlers."""
    try:
        try:
            answer = pickle.dumps((False, function()))
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            answer = _pickled_error(error)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(answer)
    finally:
        os._exit(0)


def _pickled_error(error: BaseException) -> bytes:
    try:
        answer = pickle.dumps((True, error))
        pickle.loads(answer)  # noqa: S301 - some errors go in and do not come out
    except Exception:  # noqa: BLE001
        answer = pickle.dumps((True, SimBug(f"{type(error).__name__}: {error}")))
    return answer
