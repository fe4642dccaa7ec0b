"""Which program an image is: a shipped one, one that the user has described, or a plain one that is always healthy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

from kubesim.errors import UserError
from kubesim.programs.declared import DeclaredProgram, Description, parse_description
from kubesim.programs.plain import PlainProgram
from kubesim.programs.postgres import PostgresProgram
from kubesim.programs.program import Program
from kubesim.programs.vehicle_api import BROKEN, VehicleApiProgram

PROGRAM_ANNOTATION = "kubesim.dev/program"
VEHICLE_API_ANNOTATION = "kubesim.dev/vehicle-api"

Factory = Callable[[], Program]


class Found(NamedTuple):
    """How to make an image's program, and whether anybody has said what it is."""

    factory: Factory
    is_known: bool


_PLAIN = Found(PlainProgram, is_known=False)


def image_name(image: str) -> tuple[str, str]:
    """The last part of an image's repository and its tag: `registry:5000/team/vehicle-api:2` → `vehicle-api`, `2`."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag


@final
class Catalog:
    """Finds programs. `declared` describes images, by name with or without tag, with the fields of `declared.py`.

    Raises:
        UserError: one of the descriptions has an unknown field or a wrong value.
    """

    def __init__(self, declared: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._declared = {
            image: Description(fields, f"program of image {image!r}") for image, fields in (declared or {}).items()
        }
        self._by_image: dict[str, Found] = {}

    def find_program(self, image: str, annotations: Mapping[str, str], container: str = "") -> Found:
        """The program of a container, from its image and its Pod's annotations.

        An annotation `kubesim.dev/program.<container>` describes that container, `kubesim.dev/program` all of them.

        Raises:
            UserError: an annotation cannot be understood.
        """
        if annotations:
            for name in (f"{PROGRAM_ANNOTATION}.{container}", PROGRAM_ANNOTATION):
                text = annotations.get(name)
                if text is not None:
                    return _declared(parse_description(text, f"annotation {name}"))
            broken = annotations.get(VEHICLE_API_ANNOTATION)
            if broken is not None and image_name(image)[0] == "vehicle-api":
                return _vehicle_api(_checked(broken))
        found = self._by_image.get(image)
        if found is None:
            found = self._by_image[image] = self._find_by_image(image)
        return found

    def _find_by_image(self, image: str) -> Found:
        description = self._declared.get(image) or self._declared.get(image.partition("@")[0].rpartition(":")[0])
        if description is not None:
            return _declared(description)
        name, tag = image_name(image)
        if name == "postgres":
            return Found(PostgresProgram, is_known=True)
        if name == "vehicle-api":
            ending = tag.rpartition("-")[2]
            return _vehicle_api(ending if ending in BROKEN else "")
        return _PLAIN


def _declared(description: Description) -> Found:
    return Found(lambda: DeclaredProgram(description), is_known=True)


def _vehicle_api(broken: str) -> Found:
    return Found(lambda: VehicleApiProgram(broken), is_known=True)


def _checked(broken: str) -> str:
    if broken and broken not in BROKEN:
        raise UserError(f"annotation {VEHICLE_API_ANNOTATION}: {broken!r} is none of {', '.join(BROKEN)}")
    return broken
