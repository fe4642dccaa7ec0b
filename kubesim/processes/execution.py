"""A command that runs beside a container's process: exec probes, hooks and `kubesim exec` without a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Any, Final, final

from kubesim.node.runtime import OnDone, RuntimeFailure
from kubesim.processes.child import start_launcher, watch_exit
from kubesim.processes.isolation import launcher_command, read_status
from kubesim.processes.pacing import Pacer
from kubesim.programs.program import ExecResult

# Upstream: pkg/probe/exec: the output of a probe is cut at 10 KiB.
_OUTPUT_MAX: Final = 10 * 1024


@final
class Execution:
    """One command; `on_done` gets an `ExecResult` or a failure, in the loop. A timeout of 0 is none."""

    def __init__(
        self, pacer: Pacer, spec: dict[str, Any], command: Sequence[str], timeout_s: float, on_done: OnDone
    ) -> None:
        self._pacer = pacer
        self._command = command
        self._timeout_s = timeout_s
        self._on_done: OnDone | None = on_done
        self._output = b""
        self._code: int | None = None
        self._output_reader, output = os.pipe()
        self._status = b""
        status_reader, status = os.pipe()
        words, file = launcher_command(spec, status, status)
        try:
            self._launcher = start_launcher(words, (file, status), output)
        finally:
            os.close(output)
        self._open = {self._output_reader: None, status_reader: None}
        for descriptor in self._open:
            os.set_blocking(descriptor, False)
            pacer.aio.add_reader(descriptor, self._read, descriptor)
        self._timer: asyncio.TimerHandle | None = None
        if timeout_s:
            self._timer = pacer.aio.call_later(timeout_s, self._time_out)
        watch_exit(pacer.aio, self._launcher, self._ended)

    def _read(self, descriptor: int) -> None:
        try:
            chunk = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return
        if descriptor == self._output_reader:
            self._output = (self._output + chunk)[:_OUTPUT_MAX]
        else:
            self._status += chunk
        if not chunk:
            self._close(descriptor)
            self._finish()

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            del self._open[descriptor]
            self._pacer.aio.remove_reader(descriptor)
            os.close(descriptor)

    def _ended(self, code: int) -> None:
        self._code = code
        # Whoever was started in the background may hold the pipes open for ever.
        for descriptor in list(self._open):
            self._read(descriptor)
            self._close(descriptor)
        if self._on_done is None:
            self._reap_orphan()
        self._finish()

    def _reap_orphan(self) -> None:
        """A command whose launcher was killed is ours now, and while it is a zombie, its container cannot end."""
        if pid := read_status(self._status).pid:
            with contextlib.suppress(ProcessLookupError):
                watch_exit(self._pacer.aio, pid, lambda _: None)

    def _time_out(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._launcher, signal.SIGKILL)
        text = f'command timed out: "{" ".join(self._command)}" timed out after {self._timeout_s:g}s'
        self._answer(RuntimeFailure(text, is_timeout=True))

    def _finish(self) -> None:
        if self._code is None or self._open:
            return
        if error := read_status(self._status).error:
            self._answer(RuntimeFailure(f"failed to exec in container: {error}"))
        else:
            self._answer(ExecResult(self._code, self._output.decode(errors="replace")))

    def _answer(self, result: ExecResult | RuntimeFailure) -> None:
        on_done, self._on_done = self._on_done, None
        if self._timer is not None:
            self._timer.cancel()
        if on_done is not None:
            self._pacer.hand_in(on_done, result)
