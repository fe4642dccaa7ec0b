"""A way onto a cluster's nodes, for what its API cannot do: SIGKILL or SIGSTOP a container's processes, stop a kubelet.

Two ways are known: the node is a container of docker or podman on this machine (as kind makes them), or it is this
machine itself. Elsewhere those disturbances cannot be done and the port says so.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final, final

from kubesim.api.objects import Object
from kubesim.errors import UserError

_ENGINES: Final = ("docker", "podman")
# Every process of a container is in a control group named after it; POSIX sh, for a node may have nothing else.
_SIGNAL: Final = """
found=1
for file in $(grep -ls "$1" /proc/[0-9]*/cgroup); do
  process=${file#/proc/}
  kill -s "$2" "${process%/cgroup}" 2> /dev/null && found=0
done
exit $found
"""
_IS_HERE: Final = 'grep -qs kubepods /proc/[0-9]*/cgroup && grep -qsw "127.0.0.1.*$1" /etc/hosts'
_SECONDS_MAX: Final = 30


@final
class NodeAccess:
    """Signals to containers' processes, and the kubelet as a service, on the nodes that can be reached.

    Users go on asking while something is done there.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        """`nodes` are the cluster's, by name."""
        self._shells = {node: shell for node in nodes if (shell := _find_shell(node)) is not None}

    @property
    def can_signal(self) -> bool:
        """Whether the processes of every container can be reached."""
        return bool(self._shells)

    @property
    def can_stop_kubelets(self) -> bool:
        """Whether kubelets are services that can be stopped."""
        return bool(self._shells) and all(shell[0] != "sh" for shell in self._shells.values())

    async def signal(self, pod: Object, container: str, name: str) -> None:
        """Send a signal, such as KILL, to all processes of a container.

        Raises:
            UserError: it does not run, or its node cannot be reached.
        """
        subject = f"pod/{pod['metadata']['name']}"
        fields = ("containerStatuses", "initContainerStatuses")
        statuses = [each for field in fields for each in pod["status"].get(field) or ()]
        found = next((each for each in statuses if each["name"] == container), None)
        identity = (found or {}).get("containerID", "").rpartition("//")[2]
        if not re.fullmatch(r"[0-9a-f]{12,}", identity):
            raise UserError(f"{subject}: container {container} does not run now; wait until it does")
        if await self._run(pod["spec"]["nodeName"], [_SIGNAL, "sh", identity, name]):
            raise UserError(f"{subject}: no process of container {container} is on its node now")

    async def stop_kubelet(self, node: str) -> None:
        """Stop the kubelet; containers run on."""
        await self._service(node, "stop")

    async def start_kubelet(self, node: str) -> None:
        """The end of `stop_kubelet`."""
        await self._service(node, "start")

    async def _service(self, node: str, verb: str) -> None:
        if await self._run(node, [f"systemctl {verb} kubelet"]):
            raise UserError(f"node/{node}: systemctl {verb} kubelet failed there")

    async def _run(self, node: str, words: list[str]) -> int:
        shell = self._shells.get(node)
        if shell is None:
            raise UserError(f"there is no way onto node {node} from here")
        silent = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*shell, "-c", *words, stdout=silent, stderr=silent)
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                return await process.wait()
        except TimeoutError:
            process.kill()
            raise UserError(f"node/{node}: nothing came of it there within {_SECONDS_MAX} s") from None


def _find_shell(node: str) -> list[str] | None:
    """The words that begin a shell on the node, or None where there is no way."""
    for engine in _ENGINES:
        if shutil.which(engine) and _succeeds([engine, "inspect", "--type", "container", node]):
            return [engine, "exec", node, "sh"]
    return ["sh"] if _succeeds(["sh", "-c", _IS_HERE, "sh", node]) else None


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS_MAX).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
