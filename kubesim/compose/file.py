"""Reading a Compose file: a `Project`, or one error that lists every mistake in it with its place.

Upstream: compose-spec spec.md; docs /reference/compose-file
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kubesim.compose import keys
from kubesim.compose.model import CONDITIONS, HEALTHY, Project, Service
from kubesim.compose.reading import Findings, Part
from kubesim.compose.service import read_service
from kubesim.errors import UserError
from kubesim.manifests import ManifestErrors
from kubesim.manifests.document import DocumentError, read_documents
from kubesim.manifests.files import read_file

_NAME_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789_-"


def read_project(path: str | Path, variables: Mapping[str, str]) -> Project:
    """Read and check a Compose file; `variables` are those of the environment.

    Raises:
        UserError: it cannot be read or is no Compose file; `ManifestErrors` lists several mistakes.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such Compose file; check the path")
    try:
        documents = [each for each in read_documents(read_file(path)) if each.value is not None]
    except DocumentError as error:
        raise UserError(f"{path}:{error.line + 1}:{error.column + 1}: {error.what}; {error.remedy}") from error
    if len(documents) != 1:
        raise UserError(f"{path}: it has {len(documents)} documents; a Compose file has one")
    document = documents[0]
    findings = Findings(str(path), variables)
    for duplicate in document.duplicates:
        what = f'the key "{duplicate.path[-1]}" was already given at line {duplicate.first.line + 1}'
        findings.report(duplicate.second, what, "keep one")
    root = Part(findings.interpolated(document.value, document.spot), document.spot, "")
    project = _project(root, findings, path)
    if findings.errors:
        raise ManifestErrors(UserError(text) for _, _, text in sorted(findings.errors))
    return project


def _project(root: Part, findings: Findings, path: Path) -> Project:
    top = findings.fields(root, keys.TOP)
    name = findings.text(top["name"]) if "name" in top else ""
    declared = findings.members(top["volumes"]) if "volumes" in top else {}
    for volume, part in declared.items():
        for key in findings.members(part):
            findings.ignore(f"volumes.*.{key}", volume)
    volumes = tuple(declared)
    services: dict[str, Service] = {}
    given = top.get("services")
    if given is None or not isinstance(given.value, dict) or not given.value:
        findings.report(root.spot, "a Compose file must have services", "add them under services:")
    else:
        for each in given.value:
            services[each] = read_service(given.at(each), each, volumes, findings)
        _check_dependencies(given, services, findings)
    return Project(
        name=name or _folder_name(path),
        services=services,
        volumes=volumes,
        ignored={key: tuple(owners) for key, owners in findings.ignored.items()},
        unset=tuple(findings.unset),
    )


def _folder_name(path: Path) -> str:
    """The project's name where the file gives none. Upstream: docs /compose/how-tos/project-name"""
    letters = "".join(letter for letter in path.absolute().parent.name.lower() if letter in _NAME_LETTERS)
    return letters.lstrip("_-") or "default"


def _check_dependencies(given: Part, services: Mapping[str, Service], findings: Findings) -> None:
    """Every service that is depended on exists and can be as it must, and nobody waits for themselves."""
    for service in services.values():
        for name, dependency in service.depends_on.items():
            spot = given.at(service.name).at("depends_on").spot
            if name not in services:
                if dependency.is_required:
                    names = ", ".join(services)
                    findings.report(
                        spot, f"{service.name} depends on {name}, which is no service", f"there are {names}"
                    )
            elif dependency.condition == HEALTHY and services[name].healthcheck is None:
                what = f"{service.name} waits for {name} to be healthy, and {name} has no healthcheck"
                findings.report(spot, what, f"give it one, or wait for {CONDITIONS[0]}")
            elif _reaches(services, name, service.name, {}):
                findings.report(spot, f"{service.name} and {name} depend on each other", "leave one of them out")


def _reaches(services: Mapping[str, Service], start: str, end: str, seen: dict[str, None]) -> bool:
    if start == end:
        return True
    if start in seen or start not in services:
        return False
    seen[start] = None
    return any(_reaches(services, each, end, seen) for each in services[start].depends_on)
