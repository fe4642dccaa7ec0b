"""Which cluster is meant: kubeconfig files as kubectl reads and merges them, and the one context that was named.

Nothing is ever done to a context that the user has not named, on the command line or in the settings file: a
kubeconfig's current context is no wish. Upstream: client-go/tools/clientcmd/loader.go:ClientConfigLoadingRules @v1.36
"""

from __future__ import annotations

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from kubesim.errors import UserError

SETTINGS: Final = "kubesim.toml"
IN_CLUSTER: Final = "in-cluster"
_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_KNOWN_SETTINGS: Final = ("context", "namespace", "kubeconfig")


class Target(NamedTuple):
    """A context by name, the files that know it, and the namespace for what has none of its own."""

    context: str
    files: tuple[Path, ...]
    namespace: str


def choose_target(context: str | None, namespace: str | None, kubeconfig: str | None, folder: Path) -> Target:
    """The context that the words name, else the one of the settings file `kubesim.toml` in `folder`.

    Raises:
        UserError: none is named, it does not exist (the nearest is said), or a file cannot be read.
    """
    settings = _read_settings(folder / SETTINGS)
    context = context or settings.get("context")
    namespace = namespace or settings.get("namespace")
    if context == IN_CLUSTER:
        if not _TOKEN.is_file():
            raise UserError(f"--context {IN_CLUSTER}: this is no Pod of a cluster: there is no {_TOKEN}")
        own = _TOKEN.with_name("namespace")
        return Target(context, (), namespace or (own.read_text().strip() if own.is_file() else "default"))
    files = find_files(kubeconfig or settings.get("kubeconfig"))
    contexts = _contexts(files)
    known = f"known here: {', '.join(sorted(contexts)) or 'none'}"
    if not context:
        raise UserError(f'no context is named; add --context NAME, or context = "NAME" to {SETTINGS} ({known})')
    if context not in contexts:
        near = get_close_matches(context, contexts, 1)
        hint = f"did you mean {near[0]}?" if near else known
        raise UserError(f'there is no context "{context}" in {", ".join(map(str, files))}; {hint}')
    return Target(context, files, namespace or contexts[context].get("namespace") or "default")


def find_files(named: str | None) -> tuple[Path, ...]:
    """The kubeconfig files: the one named, else those of KUBECONFIG that exist, else ~/.kube/config.

    Raises:
        UserError: there is none.
    """
    if named:
        if not Path(named).is_file():
            raise UserError(f"{named}: there is no such kubeconfig file")
        return (Path(named),)
    listed = os.environ.get("KUBECONFIG", "")
    places = [Path(each) for each in listed.split(os.pathsep) if each] or [Path.home() / ".kube" / "config"]
    files = tuple(place for place in places if place.is_file())
    if not files:
        looked = ", ".join(map(str, places))
        raise UserError(f"there is no kubeconfig at {looked}; set KUBECONFIG, or name one with --kubeconfig FILE")
    return files


def _contexts(files: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """All contexts of the files by name; the first file that has one wins, as for kubectl."""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        try:
            document = yaml.safe_load(file.read_text()) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{file}: cannot be read as a kubeconfig: {str(error).splitlines()[0]}") from error
        if not isinstance(document, dict):
            raise UserError(f"{file}: is no kubeconfig: it holds no mapping")
        for entry in document.get("contexts") or ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                found.setdefault(entry["name"], entry.get("context") or {})
    return found


def _read_settings(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        settings = tomllib.loads(file.read_text()).get("cluster", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file}: {error}") from error
    for name, value in settings.items():
        if name not in _KNOWN_SETTINGS or not isinstance(value, str):
            known = ", ".join(_KNOWN_SETTINGS)
            raise UserError(f"{file}: [cluster] {name}: not a setting that is known; there are {known}, all texts")
    return dict(settings)
