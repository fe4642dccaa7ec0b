"""Names as the cluster's DNS has them, in a hosts file for each Pod, and kept up to date while it runs.

Within a Pod no other source of names is asked, so that one that the cluster does not have is refused at once, as its
DNS would; names outside the cluster are therefore not found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, final

from kubesim.api.kinds import ENDPOINT_SLICE, SERVICE
from kubesim.api.objects import Object
from kubesim.client.informer import InformerFactory
from kubesim.network.dns import CLUSTER_DOMAIN, Names
from kubesim.network.proxy import SERVICE_NAME_LABEL
from kubesim.sim.loop import Loop

_SYSTEM_SWITCH: Final = Path("/etc/nsswitch.conf")


@final
class HostsFiles:
    """The hosts files of all Pods."""

    def __init__(self, loop: Loop, informers: InformerFactory, names: Names, local: Callable[[str], str]) -> None:
        self._loop = loop
        self._names = names
        self._local = local
        self._services = informers.informer(SERVICE)
        self._slices = informers.informer(ENDPOINT_SLICE)
        self._files: dict[Path, tuple[str, str, str]] = {}
        self._texts: dict[str, str] = {}
        self._is_due = False
        for informer in (self._services, self._slices):
            informer.add_handler(self._changed, lambda _old, new: self._changed(new), self._changed)

    def add(self, path: Path, namespace: str, hostname: str, ip: str) -> None:
        """Write a Pod's file, and keep it up to date from now on."""
        self._files[path] = (namespace, hostname, ip)
        self._write(path)

    def remove(self, path: Path) -> None:
        """The Pod is gone."""
        self._files.pop(path, None)

    def resolve(self, namespace: str, name: str) -> str:
        """The address of a name as a Pod of that namespace would find it, on this machine; empty without one."""
        found = self._names.resolve(namespace, name).addresses
        return self._local(found[0]) if found else ""

    def _changed(self, _: Object) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.post(0, self._rewrite, None)

    def _rewrite(self, _: None) -> None:
        self._is_due = False
        self._texts.clear()
        for path in self._files:
            self._write(path)

    def _write(self, path: Path) -> None:
        namespace, hostname, ip = self._files[path]
        if namespace not in self._texts:
            self._texts[namespace] = "".join(f"{address}\t{names}\n" for address, names in self._lines(namespace))
        text = f"{ip}\tlocalhost\n{ip}\t{hostname}\n{self._texts[namespace]}".encode()
        # The file is mounted, so it must stay the same one; written at once and never cut short, it is always whole.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        text = text.ljust(os.fstat(descriptor).st_size, b"\n")
        os.pwrite(descriptor, text, 0)
        os.close(descriptor)

    def _lines(self, viewer: str) -> Iterator[tuple[str, str]]:
        for service in self._services.lister.all():
            name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
            for address in self._names.addresses(f"{name}.{namespace}.svc.{CLUSTER_DOMAIN}"):
                yield self._local(address), _forms(name, namespace, viewer)
        for piece in self._slices.lister.all():
            metadata = piece["metadata"]
            service_name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
            for endpoint in piece.get("endpoints") or ():
                if service_name and endpoint.get("hostname") and (endpoint.get("conditions") or {}).get("ready", True):
                    name = f"{endpoint['hostname']}.{service_name}"
                    for address in endpoint["addresses"]:
                        yield self._local(address), _forms(name, metadata["namespace"], viewer)


def _forms(name: str, namespace: str, viewer: str) -> str:
    short = f"{name} " if namespace == viewer else ""
    return f"{short}{name}.{namespace} {name}.{namespace}.svc {name}.{namespace}.svc.{CLUSTER_DOMAIN}"


def switch_text() -> str:
    """The machine's nsswitch.conf with hosts from files only."""
    lines = (
        _SYSTEM_SWITCH.read_text(encoding="utf-8").splitlines()
        if _SYSTEM_SWITCH.exists()
        else ["passwd: files", "group: files"]
    )
    return "\n".join([*(line for line in lines if not line.startswith("hosts:")), "hosts: files", ""])


def passwd_text(uid: int, gid: int) -> str:
    """The machine's passwd with a line for a user that it does not have."""
    system = Path("/etc/passwd")
    text = system.read_text(encoding="utf-8", errors="replace") if system.exists() else ""
    if any(line.split(":")[2:3] == [str(uid)] for line in text.splitlines()):
        return text
    return f"{text}user-{uid}:x:{uid}:{gid}::/:/bin/sh\n"
