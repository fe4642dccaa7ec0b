"""What a container runs whose image nobody has described: healthy at once, and it ends when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

from kubesim.network.messages import HttpReply, HttpRequest, OnAnswer
from kubesim.network.sockets import ANY_PORT
from kubesim.programs.program import ExecResult, Process, Program

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.programs.shell.files import Files
    from kubesim.programs.shell.interpreter import Shell

_MISSING = HttpReply(404)
_DONE = ExecResult(0)
# Where Apache, nginx, Debian's servers, and those that serve all there is have their documents.
_DOCUMENTS = ("", "/usr/local/apache2/htdocs", "/usr/share/nginx/html", "/var/www/html")


def find_command(arguments: Sequence[str]) -> Callable[[], Program] | None:
    """The program of a container whose image nobody has described, where its command is one that is understood."""
    if not arguments:
        return None
    from kubesim.programs.shell.utilities import is_understood

    if not is_understood(arguments):
        return None
    from kubesim.programs.shell.program import ShellProgram

    return ShellProgram


def find_default(spec: Object, role: str, arguments: Sequence[str]) -> Callable[[], Program] | None:
    """The program of a container of an image that nobody has described; None for one that goes on.

    An init container has to end. One that somebody adds to look into a Pod is taken for a shell, as the images for that
    have one: it ends where it has no input.
    """
    found = find_command(arguments)
    if found is not None:
        return found
    if role == "ephemeral" and spec.get("stdin"):
        return WaitingShell
    return FinishedProgram if role in ("init", "ephemeral") else None


@final
class PlainProgram:
    """Answers 200 on every port, exits 0 on SIGTERM.

    Commands run in it do what a shell does with their words; files that nobody has removed are taken to be there, and a
    program that is not known succeeds.
    """

    __slots__ = ("_files", "_process")

    is_steady = True

    def start(self, process: Process) -> None:
        self._process = process
        self._files: Files | None = None
        process.listen(ANY_PORT, self._answer)

    def _answer(self, message: Any, on_answer: OnAnswer) -> None:
        """200 and the Pod's name, unless it is asked for a document that somebody has removed."""
        files = self._files
        if files is not None and isinstance(message, HttpRequest):
            path = message.path.partition("?")[0]
            if not all(files.exists(root + path) for root in _DOCUMENTS):
                on_answer(_MISSING)
                return
        on_answer(HttpReply(200, self._process.pod_name))

    def terminate(self) -> None:
        self._process.exit(0)

    def execute(self, command: Sequence[str]) -> ExecResult:
        from kubesim.programs.shell.utilities import is_understood

        if not is_understood(command):
            return _DONE
        from kubesim.programs.shell.program import run_beside

        return run_beside(command, self.open_shell(), self._process)

    def open_shell(self) -> Shell:
        """A shell beside the program, over the container's files."""
        from kubesim.programs.shell.files import Files
        from kubesim.programs.shell.program import new_shell

        if self._files is None:
            self._files = Files(self._process.volumes, assumes=True)
        return new_shell(self._process, self._files)


@final
class WaitingShell:
    """A shell as process 1 with nobody at its input: it waits for who attaches, and ends with them.

    What is typed is carried out beside it, as by `kubectl exec`.
    """

    is_steady = True

    def start(self, process: Process) -> None:
        """Wait."""

    def terminate(self) -> None:
        """Process 1 is told to end, and a shell in that place does not listen."""

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return _DONE


@final
class FinishedProgram:
    """What an init container runs whose image nobody has described: it has nothing to do, and succeeds."""

    is_steady = True

    def start(self, process: Process) -> None:
        process.after(0, lambda: process.exit(0))

    def terminate(self) -> None:
        """It ends by itself."""

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return _DONE
