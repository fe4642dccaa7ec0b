"""From a Pod, its image and the machine to what a process is started with: user, files, environment, words."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.node.env import expand
from kubesim.node.runtime import ContainerConfig
from kubesim.processes.addresses import Addresses, with_own_loopback
from kubesim.processes.images import ImageMap, Program
from kubesim.processes.isolation import kept_paths
from kubesim.processes.names import HostsFiles, passwd_text, switch_text
from kubesim.processes.pacing import Pacer
from kubesim.processes.run_folder import RunFolder
from kubesim.processes.volumes import Mount, VolumeFolders

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Command(NamedTuple):
    """A process to be. `ip` is the Pod's address on this machine."""

    words: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    uid: int
    gid: int
    hostname: str
    ip: str
    mounts: tuple[Mount, ...]


@final
class Machine:
    """What the runtimes of all nodes share: folders, addresses, images and what is possible here."""

    def __init__(
        self, pacer: Pacer, folder: RunFolder, addresses: Addresses, images: ImageMap, *, is_isolated: bool
    ) -> None:
        self.pacer = pacer
        self.folder = folder
        self.addresses = addresses
        self.images = images
        self.is_isolated = is_isolated
        self.volumes = VolumeFolders(folder, addresses.localise)
        self.kept = kept_paths()
        # Set by who has the informers; there are no Pods before that.
        self.hosts: HostsFiles | None = None
        self._on_note: Callable[[str], None] | None = None
        self._noted: dict[str, None] = {}
        (folder.path / "nsswitch.conf").write_text(switch_text(), encoding="utf-8")

    def note(self, text: str) -> None:
        """Tell the user something about this machine, once."""
        if text not in self._noted:
            self._noted[text] = None
            if self._on_note is not None:
                self._on_note(text)

    @property
    def notes(self) -> list[str]:
        """All that has been told."""
        return [*self._noted]

    def tell_notes(self, on_note: Callable[[str], None]) -> None:
        """Hear of what there is to say about this machine, from the start."""
        self._on_note = on_note
        for text in self._noted:
            on_note(text)

    def open_pod(self, pod: Object, ip: str) -> None:
        """Make a Pod's folder and its hosts file."""
        metadata = pod["metadata"]
        place = self.folder.pods / metadata["uid"]
        place.mkdir(exist_ok=True)
        if self.hosts is not None:
            self.hosts.add(place / "hosts", metadata["namespace"], hostname_of(pod), self.addresses.local(ip))

    def close_pod(self, uid: str) -> None:
        """Delete what is a Pod's own. Volumes that outlive it are elsewhere."""
        import shutil

        place = self.folder.pods / uid
        if self.hosts is not None:
            self.hosts.remove(place / "hosts")
        shutil.rmtree(place, ignore_errors=True)

    def log_path(self, pod: Object, container: str, attempt: int) -> Path:
        """Where a container's output goes."""
        metadata = pod["metadata"]
        place = self.folder.logs / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}" / container
        place.mkdir(parents=True, exist_ok=True)
        return place / f"{attempt}.log"

    def remember(self, pid: int, start: str) -> None:
        """Tell the watchdog of a process that does not end with us by itself."""
        with (self.folder.path / "pids").open("a", encoding="ascii") as file:
            file.write(f"{pid} {start}\n")


def hostname_of(pod: Object) -> str:
    """The host name that a Pod's processes see.

    Upstream: pkg/kubelet/kubelet_pods.go:GeneratePodHostNameAndDomain @v1.36
    """
    name: str = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return name[:63].rstrip("-.")


def plan_command(
    machine: Machine, pod: Object, node: str, ip: str, config: ContainerConfig, program: Program
) -> Command:
    """How a container's process is to be started."""
    ip = machine.addresses.local(ip)
    spec = config.spec
    uid, gid = _user(pod, spec, program)
    volumes = machine.volumes.mounts(pod, node, config)
    hostname = hostname_of(pod)
    environment = {
        "PATH": ":".join([*program.path, _PATH]),
        "HOSTNAME": hostname,
        "HOME": "/root" if uid == 0 else "/",
        **{name: value.replace("{ip}", ip) for name, value in program.env.items()},
        **{name: machine.addresses.localise(value) for name, value in config.env.items()},
    }
    own = [expand(word, config.env.get) for word in spec.get("command") or ()]
    arguments = [expand(word, config.env.get) for word in spec.get("args") or ()]
    words = [*(own or (word.replace("{ip}", ip) for word in program.command)), *arguments]
    words = [with_own_loopback(machine.addresses.localise(word), ip) for word in words]
    if not machine.is_isolated:
        translate = _translator(machine, pod["metadata"]["namespace"], volumes)
        environment = {name: translate(value) if name != "PATH" else value for name, value in environment.items()}
        words = [translate(word) for word in words]
    mounts = [*_own_files(machine, pod, config, (uid, gid)), *_prepared(machine, program), *volumes]
    directory = spec.get("workingDir") or "/"
    return Command(tuple(words), environment, directory, uid, gid, hostname, ip, tuple(mounts))


def _user(pod: Object, spec: Object, program: Program) -> tuple[int, int]:
    own, of_pod = spec.get("securityContext") or {}, pod["spec"].get("securityContext") or {}
    uid = own.get("runAsUser", of_pod.get("runAsUser", program.user))
    return uid, own.get("runAsGroup", of_pod.get("runAsGroup", uid))


def _own_files(machine: Machine, pod: Object, config: ContainerConfig, user: tuple[int, int]) -> list[Mount]:
    place = machine.folder.pods / pod["metadata"]["uid"]
    passwd = place / f"passwd-{user[0]}"
    if not passwd.exists():
        passwd.write_text(passwd_text(*user), encoding="utf-8")
    temporary = place / f"{config.spec['name']}-{config.attempt}-tmp"
    temporary.mkdir(exist_ok=True)
    return [
        Mount(place / "hosts", "/etc/hosts", is_read_only=False),
        Mount(machine.folder.path / "nsswitch.conf", "/etc/nsswitch.conf", is_read_only=False),
        Mount(passwd, "/etc/passwd", is_read_only=False),
        # Of a container's own layer, what is written most: the machine's folder is not for that.
        Mount(temporary, "/tmp", is_read_only=False),
    ]


def _prepared(machine: Machine, program: Program) -> list[Mount]:
    """What was made for the image beforehand, where it was made: the folder may lie in /tmp, which is hidden."""
    place = machine.folder.templates
    return [Mount(place, str(place), is_read_only=True)] if program.prepare else []


def _translator(machine: Machine, namespace: str, mounts: Sequence[Mount]) -> Callable[[str], str]:
    """Without namespaces, texts must say where things really are: paths of volumes, and names of the cluster."""

    def translate(text: str) -> str:
        for mount in mounts:
            if text == mount.target or text.startswith(f"{mount.target}/"):
                return str(mount.source) + text[len(mount.target) :]
        if machine.hosts is not None and text and "/" not in text and " " not in text:
            return machine.hosts.resolve(namespace, text) or text
        return text

    return translate


def start_spec(machine: Machine, command: Command) -> dict[str, Any]:
    """The launcher's spec that starts the process."""
    exists = machine.is_isolated or os.path.isdir(command.directory)
    return {
        "isolate": machine.is_isolated,
        "uid": command.uid,
        "gid": command.gid,
        "hostname": command.hostname,
        "mounts": [[str(mount.source), mount.target, mount.is_read_only] for mount in command.mounts],
        "staging": str(machine.folder.staging),
        "keep": machine.kept,
        "directory": command.directory if exists else "/",
        "command": list(command.words),
        "environment": dict(command.environment),
    }


def exec_spec(machine: Machine, command: Command, pid: int, words: Sequence[str]) -> dict[str, Any]:
    """The launcher's spec that runs a command beside the process."""
    return {
        "enter": pid if machine.is_isolated else 0,
        "directory": command.directory,
        "command": [with_own_loopback(word, command.ip) for word in words],
        "environment": dict(command.environment),
    }


def prepare_spec(folder: RunFolder, words: Sequence[str], path: Sequence[str]) -> dict[str, Any]:
    """The launcher's spec for what an image needs before its first start; it sees the machine's files as they are."""
    return {
        "isolate": True,
        "uid": 1000,
        "gid": 1000,
        "hostname": "prepare",
        "mounts": [],
        "staging": str(folder.staging),
        "keep": [],
        "directory": "/",
        "command": list(words),
        "environment": {"PATH": ":".join([*path, _PATH])},
    }
