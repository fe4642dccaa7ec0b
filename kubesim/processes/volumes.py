"""A container's volumes as folders and files: which one is shown where.

A claim's folder lives as long as its PersistentVolume, an emptyDir's as long as its Pod. ConfigMaps, Secrets and the
like are files written when the container is made. A hostPath is a folder of the node, not of the machine beneath it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.node.runtime import ContainerConfig
from kubesim.processes.run_folder import RunFolder
from kubesim.programs.program import Volume

_WRITTEN: Final = ("configMap", "secret", "projected", "downwardAPI")


class Mount(NamedTuple):
    """A file or folder of this machine and where the container sees it."""

    source: Path
    target: str
    is_read_only: bool


@final
class VolumeFolders:
    """The folders behind volumes. `localise` replaces addresses in what is written to files."""

    def __init__(self, folder: RunFolder, localise: Callable[[str], str]) -> None:
        self._folder = folder
        self._localise = localise

    def forget(self, volume_name: str) -> None:
        """A PersistentVolume is gone with what it held."""
        shutil.rmtree(self._folder.volumes / volume_name, ignore_errors=True)

    def mounts(self, pod: Object, node: str, config: ContainerConfig) -> list[Mount]:
        """What a container sees of its Pod's volumes, outer paths first."""
        sources = {each["name"]: each for each in pod["spec"].get("volumes") or ()}
        found = []
        for mount in config.spec.get("volumeMounts") or ():
            volume = config.volumes.get(mount["mountPath"])
            source = sources.get(mount["name"])
            if volume is None or source is None:
                continue
            is_written = any(kind in source for kind in _WRITTEN)
            if is_written:
                place = self._write(pod, config, mount, volume)
            else:
                place = self._kept(pod, node, source, mount, volume)
            found.append(Mount(place, mount["mountPath"], is_written or bool(mount.get("readOnly"))))
        return sorted(found, key=lambda each: each.target.count("/"))

    def _kept(self, pod: Object, node: str, source: Object, mount: Object, volume: Volume) -> Path:
        part: str = mount.get("subPath", "")
        place: Path
        name = volume.name.removesuffix(f"/{part}") if part else volume.name
        if "persistentVolumeClaim" in source or "ephemeral" in source:
            place = self._folder.volumes / name
        elif "hostPath" in source:
            place = self._folder.host_paths / node / source["hostPath"]["path"].lstrip("/")
        else:
            place = self._folder.pods / pod["metadata"]["uid"] / "volumes" / source["name"]
        place /= part
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _write(self, pod: Object, config: ContainerConfig, mount: Object, volume: Volume) -> Path:
        number = list(config.volumes).index(mount["mountPath"])
        place: Path = self._folder.pods / pod["metadata"]["uid"] / f"{config.spec['name']}-{config.attempt}-{number}"
        place.mkdir(parents=True, exist_ok=True)
        for path, value in volume.files.items():
            file = place / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self._bytes(value))
        part: str = mount.get("subPath", "").rpartition("/")[2]
        return place / part if part and part in volume.files else place

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        text = str(value).encode("utf-8", "surrogateescape")
        try:
            return self._localise(text.decode("utf-8")).encode()
        except UnicodeDecodeError:
            return text
