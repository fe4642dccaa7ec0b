"""A Compose project on its host, with time, users and faults: for Compose what `Cluster` is for Kubernetes.

host = ComposeHost(read_project("specs/compose.yaml", {}))
host.up()
host.run(20)
host.engine.lose_power()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

from kubesim.compose.commands import ComposeCommands
from kubesim.compose.container import Container
from kubesim.compose.engine import Engine
from kubesim.compose.host_network import HOST
from kubesim.compose.model import Project
from kubesim.compose.work import Work, begin
from kubesim.errors import UserError
from kubesim.programs.catalog import Catalog
from kubesim.programs.postgres import PostgresProgram, rows_in
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import SECOND, Loop
from kubesim.users.ledger import Audit
from kubesim.users.load import Load, Plan


@final
class ComposeHost:
    """One host with dockerd, and a person's terminal on it. `programs` describe images as a scenario file does."""

    def __init__(
        self, project: Project, seed: int = 0, programs: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.loop = Loop()
        self._chooser = Chooser(seed)
        self.engine = Engine(self.loop, self._chooser, Catalog(programs))
        self.compose = ComposeCommands(self.engine, project)
        self._loads = 0

    # --- time ---

    @property
    def now_ns(self) -> int:
        """Virtual nanoseconds since the host was made."""
        return self.loop.now_ns

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_until(self.loop.now_ns + round(seconds * SECOND))

    def begin(self, work: Work[Any], on_done: Callable[[Any], None] = lambda _: None) -> None:
        """Type a command; it goes on while time passes."""
        begin(work, on_done)

    def complete(self, work: Work[Any], within_s: float = 600) -> Any:
        """Type a command and let time pass until it is done; returns what it returns.

        Raises:
            TimeoutError: it is not done by then.
        """
        outcome: list[Any] = []
        begin(work, outcome.append)
        if not outcome and not self.loop.run_until(self.now_ns + round(within_s * SECOND), lambda: bool(outcome)):
            raise TimeoutError(f"the command is not done after {within_s:g} s of virtual time")
        return outcome[0]

    def up(self) -> str:
        """`docker compose up -d` with the file as it is; returns an error's text."""
        error: str = self.complete(self.compose.up(self.compose.project))
        return error

    # --- what is there ---

    def container(self, name: str) -> Container:
        """A container by its name.

        Raises:
            UserError: there is none.
        """
        found = self.engine.containers.get(name)
        if found is None:
            raise UserError(f"there is no container {name}; there are {', '.join(self.engine.containers) or 'none'}")
        return found

    # --- users ---

    def load(self, ports: tuple[int, ...], **plan: Any) -> Load:
        """Start users of ports of the host; `plan` are fields of `kubesim.users.load.Plan`."""
        stream = self._chooser.stream(f"users-{self._loads}")
        load = Load(self.loop, self.engine.fabric, stream, Plan(host=HOST, ports=ports, **plan), self._loads)
        self._loads += 1
        load.start()
        return load

    def audit(self, load: Load) -> Audit:
        """Compare what users were told is stored with what the databases hold now."""
        ledger = load.ledger
        return ledger.compare(self._database_rows(ledger.table, ledger.column))

    def _database_rows(self, table: str, column: str) -> dict[str, Any]:
        """A table's rows by a column: those of each PostgreSQL that runs; where none does, those in volumes."""
        programs = [process.program for process in self.engine.processes()]
        found = [program.rows(table, column) for program in programs if isinstance(program, PostgresProgram)]
        if not found:
            found = [rows_in(volume, table, column) for volume in self.engine.volumes.values()]
        return {key: row for rows in found for key, row in rows.items()}
