"""Reading a scenario file: YAML with places, then typed parts, or one error that lists every mistake."""

from __future__ import annotations

from pathlib import Path

from kubesim.errors import UserError
from kubesim.manifests import ManifestErrors
from kubesim.manifests.document import DocumentError, Duplicate, Spot, read_documents
from kubesim.manifests.files import read_file
from kubesim.scenario.fields import Reader
from kubesim.scenario.model import Scenario


class ScenarioFile:
    """A scenario, the file that it came from and where each part of it stands."""

    def __init__(self, scenario: Scenario, path: Path, spot: Spot) -> None:
        self.scenario = scenario
        self.path = path
        self._spot = spot

    def with_scenario(self, scenario: Scenario) -> ScenarioFile:
        """The same file with another scenario made of it."""
        return ScenarioFile(scenario, self.path, self._spot)

    def resolve(self, name: str) -> Path:
        """A path that the file names, taken from the file's own folder."""
        return self.path.parent / name

    def locate(self, *path: str | int) -> str:
        """`file:line:column` of a part, given by keys and indices, or of the nearest part around it."""
        spot = self._spot
        for step in path:
            inside = spot.inside
            if isinstance(inside, list) and isinstance(step, int) and step < len(inside):
                spot = inside[step]
            elif isinstance(inside, dict) and step in inside:
                spot = inside[str(step)]
            else:
                break
        return f"{self.path}:{spot.line + 1}:{spot.column + 1}"


def read_scenario(path: str | Path) -> ScenarioFile:
    """Read and check one scenario file.

    Raises:
        UserError: it cannot be read, is not YAML or not a scenario; `ManifestErrors` lists several mistakes.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such scenario file; check the path")
    try:
        documents = [document for document in read_documents(read_file(path)) if document.value is not None]
    except DocumentError as error:
        place = f"{path}:{error.line + 1}:{error.column + 1}"
        raise UserError(f"{place}: {error.what}; {error.remedy}") from error
    if len(documents) != 1:
        raise UserError(f"{path}: it has {len(documents)} documents; a scenario file has one")
    document = documents[0]
    errors: list[tuple[int, int, str]] = []

    def report(spot: Spot, what: str, remedy: str) -> None:
        errors.append((spot.line, spot.column, f"{path}:{spot.line + 1}:{spot.column + 1}: {what}; {remedy}"))

    for duplicate in document.duplicates:
        report(duplicate.second, _repeated(duplicate), "keep one")
    scenario = Reader(report).read(Scenario, document.value, document.spot, "")
    if errors:
        raise ManifestErrors(UserError(text) for _, _, text in sorted(errors))
    return ScenarioFile(scenario, path, document.spot)


def is_scenario(path: str | Path) -> bool:
    """Whether a file is a scenario rather than manifests: it is one mapping, with a promise."""
    if not Path(path).is_file():
        return False
    try:
        documents = [document.value for document in read_documents(read_file(Path(path)))]
    except DocumentError:
        return False
    return len(documents) == 1 and isinstance(documents[0], dict) and "promise" in documents[0]


def _repeated(duplicate: Duplicate) -> str:
    return f'the key "{duplicate.path[-1]}" was already given at line {duplicate.first.line + 1}'
