"""Getting a container's image onto the node: when to pull, what to say about it, when to back off.

Upstream: pkg/kubelet/images/image_manager.go:EnsureImageExists, pkg/util/parsers/parsers.go @v1.36
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from kubesim.node.backoff import Backoff
from kubesim.node.runtime import Image, Runtime
from kubesim.node.status import Reason
from kubesim.sim.loop import MILLISECOND, SECOND, Loop

if TYPE_CHECKING:
    from kubesim.node.facts import ContainerFacts
    from kubesim.node.steps import Sequence

# The grammar of references, as in github.com/distribution/reference/regexp.go.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REFERENCE = rf"(?:{_DOMAIN}(?:\.{_DOMAIN})*(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
_REST = r"(?::([\w][\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    return re.compile(rf"({_REFERENCE}){_REST}", re.ASCII)


@lru_cache(maxsize=4096)
def full_name(image: str) -> str | None:
    """The image with registry and tag as the runtime reports it (`nginx` → `docker.io/library/nginx:latest`).

    None when it isn't a valid reference.
    """
    match = _pattern().fullmatch(image)
    if match is None:
        return None
    name, tag, digest = match.groups()
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    if digest:
        return f"{name}@{digest}"
    return f"{name}:{tag or 'latest'}"


def _why_invalid(image: str) -> str:
    # Upstream: github.com/distribution/reference/normalize.go:ParseNormalizedNamed
    first, slash, rest = image.partition("/")
    has_domain = slash and ("." in first or ":" in first or first == "localhost")
    remote = (rest if has_domain else image).partition("@")[0]
    path, colon, _ = remote.rpartition(":")
    remote = path if colon else remote
    if remote != remote.lower():
        shown = remote if has_domain or "/" in remote else f"library/{remote}"
        return f"invalid reference format: repository name ({shown}) must be lowercase"
    return "invalid reference format"


def _duration(ns: int) -> str:
    """Go's text of a duration, cut to milliseconds: `812ms`, `1.5s`, `2m3s`."""
    ns -= ns % MILLISECOND
    if ns < SECOND:
        return f"{ns // MILLISECOND}ms" if ns else "0s"
    minutes, rest = divmod(ns, 60 * SECOND)
    seconds = f"{rest / SECOND:.3f}".rstrip("0").rstrip(".")
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if minutes or hours else ''}{seconds}s"


class ImageOwner(Protocol):
    """The Pod for which an image is fetched."""

    image_backoff: Backoff | None
    pull_errors: dict[str, str] | None

    def event(self, type_: str, reason: str, message: str, field_path: str = "") -> None:
        """Record an Event."""
        ...


def pull_policy(facts: ContainerFacts) -> str:
    """The container's policy; the API server has filled in a default."""
    policy: str = facts.spec.get("imagePullPolicy", "IfNotPresent")
    return policy


def ensure_image(loop: Loop, runtime: Runtime, owner: ImageOwner, facts: ContainerFacts) -> Sequence:
    """Steps that return the `Image`, or the `Reason` why there is none."""
    image = facts.image
    path = facts.field_path
    if full_name(image) is None:
        why = f'couldn\'t parse image name "{image}": {_why_invalid(image)}'
        message = f'Failed to apply default image tag "{image}": {why}'
        owner.event("Warning", "InspectFailed", message, path)
        return Reason("InvalidImageName", message)
    policy = pull_policy(facts)
    if policy != "Always":
        found = runtime.find_image(image)
        if found is not None:
            owner.event(
                "Normal",
                "Pulled",
                f'Container image "{image}" already present on machine and can be accessed by the pod',
                path,
            )
            return found
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            owner.event("Warning", "ErrImageNeverPull", message, path)
            return Reason("ErrImageNeverPull", message)
    return (yield from _pull(loop, runtime, owner, facts))


def _pull(loop: Loop, runtime: Runtime, owner: ImageOwner, facts: ContainerFacts) -> Sequence:
    image = facts.image
    path = facts.field_path
    backoff = owner.image_backoff
    if backoff is not None and backoff.is_waiting_since_count(image, loop.now_ns):
        message = f'Back-off pulling image "{image}"'
        owner.event("Normal", "BackOff", message, path)
        before = (owner.pull_errors or {}).get(image)
        return Reason("ImagePullBackOff", f"{message}: {before}" if before else message)
    owner.event("Normal", "Pulling", f'Pulling image "{image}"', path)
    started_ns = loop.now_ns
    result: Any = yield lambda on_done: runtime.pull_image(image, on_done)
    if isinstance(result, Image):
        took = _duration(loop.now_ns - started_ns)
        owner.event(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{image}" in {took} ({took} including waiting). '
            f"Image size: {result.size_bytes} bytes.",
            path,
        )
        return result
    owner.event("Warning", "Failed", f'Failed to pull image "{image}": {result.text}', path)
    if owner.image_backoff is None:
        owner.image_backoff = Backoff()
        owner.pull_errors = {}
    owner.image_backoff.count(image, loop.now_ns, loop.now_ns)
    if owner.pull_errors is not None:
        owner.pull_errors[image] = f"ErrImagePull: {result.text}"
    return Reason("ErrImagePull", result.text)
