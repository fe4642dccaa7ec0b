"""One service of a Compose file, in short and long syntax.

Upstream: compose-spec 05-services.md, deploy.md; docs /reference/compose-file/services
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import split
from typing import Final

from kubesim.compose import keys
from kubesim.compose.model import CONDITIONS, STOP_GRACE_NS, Dependency, Healthcheck, Mount, PublishedPort, Service
from kubesim.compose.reading import Findings, Part, shown
from kubesim.compose.restart_policy import ALWAYS, NO, ON_FAILURE, POLICIES, UNLESS_STOPPED, RestartPolicy

_PORT_MAX: Final = 65535
_REPLICAS_MAX: Final = 1000
# Upstream: compose pkg/compose/create.go:mapRestartPolicyCondition
_DEPLOY_POLICIES: Final = {"any": ALWAYS, "none": NO, ON_FAILURE: ON_FAILURE, UNLESS_STOPPED: UNLESS_STOPPED}


def read_service(part: Part, name: str, volumes: Sequence[str], findings: Findings) -> Service:
    """The service; mistakes are reported."""
    given = findings.fields(part, keys.SERVICE, name)
    deploy = findings.fields(given["deploy"], keys.DEPLOY, name) if "deploy" in given else {}
    if "image" not in given and "build" not in given:
        findings.report(part.spot, f"{part.name} has neither image nor build", "add one of them")
    if "build" in given:
        findings.ignore("build", name)
    replicas = _replicas(given, deploy, findings)
    if "container_name" in given and replicas > 1:
        what = f"{part.name} has a container_name and {replicas} replicas, and a name is for one container"
        findings.report(given["container_name"].spot, what, "leave container_name out")
    return Service(
        name=name,
        # Upstream: compose pkg/api/api.go:GetImageNameOrDefault is PROJECT-SERVICE; the project plays no part here.
        image=findings.text(given["image"]) if "image" in given else name,
        command=(*_words(given, "entrypoint", findings), *_words(given, "command", findings)),
        environment=_pairs(given, "environment", findings),
        notes=_pairs(given, "labels", findings),
        replicas=replicas,
        container_name=findings.text(given["container_name"]) if "container_name" in given else "",
        restart=_restart(given, deploy, findings, name),
        stop_grace_ns=findings.duration(given["stop_grace_period"]) if "stop_grace_period" in given else STOP_GRACE_NS,
        healthcheck=_healthcheck(given["healthcheck"], findings) if "healthcheck" in given else None,
        ports=tuple(port for each in _list(given, "ports", findings) for port in _ports(each, findings, name)),
        mounts=tuple(
            mount for each in _list(given, "volumes", findings) for mount in _mount(each, volumes, findings, name)
        ),
        depends_on=_depends_on(given, findings),
        aliases=_aliases(given, findings, name),
        limit_bytes=_limit(given, deploy, findings, name),
    )


def _list(given: dict[str, Part], key: str, findings: Findings) -> list[Part]:
    return list(findings.entries(given[key], "each entry")) if key in given else []


def _words(given: dict[str, Part], key: str, findings: Findings) -> tuple[str, ...]:
    """A command: a list of words, or a text that is split as a shell does."""
    part = given.get(key)
    if part is None:
        return ()
    if isinstance(part.value, list):
        return tuple(findings.text(each) for each in findings.entries(part, "each word"))
    try:
        return tuple(split(findings.text(part)))
    except ValueError as error:
        findings.report(part.spot, f"{part.name} cannot be split into words: {error}", "close the quotation")
        return ()


def _pairs(given: dict[str, Part], key: str, findings: Findings) -> dict[str, str]:
    """Variables or labels: a mapping, or a list of NAME=VALUE. A variable without value comes from the environment."""
    part = given.get(key)
    found: dict[str, str] = {}
    if part is None:
        return found
    if isinstance(part.value, dict):
        for name, value in part.value.items():
            if isinstance(value, bool):
                what = f"{part.name}.{name} must be a text, a number or nothing, not {value}"
                findings.report(part.at(name).spot, what, "put it in quotes")
            elif value is not None:
                found[name] = findings.text(part.at(name))
    else:
        for each in findings.entries(part, "NAME=VALUE"):
            name, is_given, value = findings.text(each).partition("=")
            if is_given:
                found[name] = value
    return found


def _replicas(given: dict[str, Part], deploy: dict[str, Part], findings: Findings) -> int:
    """Upstream: compose-spec deploy.md, replicas; compose-go types/types.go:GetScale"""
    part = given.get("scale") or deploy.get("replicas")
    return findings.number(part, 0, _REPLICAS_MAX) if part is not None else 1


def _restart(given: dict[str, Part], deploy: dict[str, Part], findings: Findings, owner: str) -> RestartPolicy:
    """`deploy.restart_policy` wins over `restart`. Upstream: compose pkg/compose/create.go:getRestartPolicy"""
    if "restart_policy" in deploy:
        policy = findings.fields(deploy["restart_policy"], keys.RESTART_POLICY, owner)
        name = findings.choice(policy["condition"], tuple(_DEPLOY_POLICIES)) if "condition" in policy else "any"
        attempts = findings.number(policy["max_attempts"], 0, 1 << 31) if "max_attempts" in policy else 0
        return RestartPolicy(_DEPLOY_POLICIES[name], attempts)
    part = given.get("restart")
    if part is None:
        return RestartPolicy()
    if part.value is False:
        findings.report(part.spot, f'{part.name} is the truth value no, not the word "no"', 'write "no" in quotes')
        return RestartPolicy()
    name, has_bound, bound = str(part.value).partition(":")
    if has_bound and name == ON_FAILURE and bound.isdecimal():
        return RestartPolicy(name, int(bound))
    return RestartPolicy(findings.choice(part, POLICIES))


def _healthcheck(part: Part, findings: Findings) -> Healthcheck | None:
    given = findings.fields(part, keys.HEALTHCHECK)
    if "disable" in given and findings.truth(given["disable"]):
        return None
    if "test" not in given:
        findings.report(part.spot, f"{part.name} has no test", "add the command, such as [CMD, pg_isready]")
        return None
    test = given["test"]
    words = (
        tuple(findings.text(each) for each in findings.entries(test, "each word"))
        if isinstance(test.value, list)
        else ("CMD-SHELL", findings.text(test))
    )
    if words[:1] == ("NONE",):
        return None
    if len(words) < 2 or words[0] not in ("CMD", "CMD-SHELL"):
        what = f"{test.name} must begin with NONE, CMD or CMD-SHELL"
        findings.report(test.spot, what, "write a text, or a list that begins with one of them")
    spans = {
        f"{key}_ns": findings.duration(given[key])
        for key in ("interval", "timeout", "start_period", "start_interval")
        if key in given
    }
    # A zero is as if nothing were given. Upstream: moby daemon/health.go:timeoutWithDefault
    spans = {key: span for key, span in spans.items() if span}
    retries = findings.number(given["retries"], 0, 1 << 31) if "retries" in given else 0
    return Healthcheck(test=words, retries=retries or 3, **spans)


def _ports(part: Part, findings: Findings, owner: str) -> list[PublishedPort]:
    """One entry of ports: `[[IP:]HOST:]CONTAINER[/PROTOCOL]` with ranges, or a mapping."""
    if isinstance(part.value, dict):
        given = findings.fields(part, keys.PORT, owner)
        protocol = findings.text(given["protocol"]) if "protocol" in given else "tcp"
        if "target" not in given:
            findings.report(part.spot, f"{part.name} has no target", "add the container's port")
            return []
        published = findings.text(given["published"]) if "published" in given else ""
        text = f"{published}:{findings.text(given['target'])}" if published else findings.text(given["target"])
    else:
        text, _, protocol = findings.text(part).partition("/")
    if protocol not in ("", "tcp"):
        findings.ignore(f"ports over {protocol}", owner)
        return []
    hosts, _, target = text.rpartition(":")
    target_range, host_range = _range(target), _range(hosts.rpartition(":")[2]) if hosts else (0, 0)
    if target_range is None or host_range is None:
        what = f"{part.name} must be a port, not {shown(part.value)}"
        findings.report(part.spot, what, "write HOST:CONTAINER, such as 8080:80")
        return []
    (first, last), (low, high) = target_range, host_range
    if first == last:
        return [PublishedPort(first, low, high)]
    if low and high - low != last - first:
        findings.report(part.spot, f"{part.name} has ranges of different lengths", "make them equal")
        return []
    return [PublishedPort(port, *((low + port - first,) * 2 if low else (0, 0))) for port in range(first, last + 1)]


def _range(text: str) -> tuple[int, int] | None:
    low, _, high = text.partition("-")
    bounds = (low, high or low)
    if not all(each.isascii() and each.isdecimal() and 0 < int(each) <= _PORT_MAX for each in bounds):
        return None
    return (int(bounds[0]), int(bounds[1])) if int(bounds[0]) <= int(bounds[1]) else None


def _mount(part: Part, volumes: Sequence[str], findings: Findings, owner: str) -> list[Mount]:
    """One entry of volumes: `[SOURCE:]TARGET[:MODE]`, or a mapping; none for a tmpfs, whose content nobody keeps."""
    if isinstance(part.value, dict):
        given = findings.fields(part, keys.VOLUME, owner)
        kind = findings.choice(given["type"], ("volume", "bind", "tmpfs")) if "type" in given else "volume"
        source = findings.text(given["source"]) if "source" in given else ""
        target = findings.text(given["target"]) if "target" in given else ""
        if kind == "tmpfs":
            return []
    else:
        first, has_target, rest = findings.text(part).partition(":")
        source, target = (first, rest.partition(":")[0]) if has_target else ("", first)
        kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    if not target.startswith("/"):
        findings.report(part.spot, f"{part.name} has no absolute path in the container", "write SOURCE:/PATH")
        return []
    if kind == "volume" and source and source not in volumes:
        findings.report(
            part.spot,
            f'{part.name} names the volume "{source}", which the file does not declare',
            f"add {source}: under volumes at the top",
        )
    return [Mount(target, source, is_bind=kind == "bind")]


def _depends_on(given: dict[str, Part], findings: Findings) -> dict[str, Dependency]:
    part = given.get("depends_on")
    if part is None:
        return {}
    if not isinstance(part.value, dict):
        return {findings.text(each): Dependency() for each in findings.entries(part, "each service")}
    found = {}
    for name in part.value:
        inner = findings.fields(part.at(name), keys.DEPENDENCY)
        if "condition" not in inner:
            findings.report(
                part.at(name).spot, f"{part.name}.{name} has no condition", f"add one of {', '.join(CONDITIONS)}"
            )
            continue
        found[name] = Dependency(
            findings.choice(inner["condition"], CONDITIONS),
            restarts="restart" in inner and findings.truth(inner["restart"]),
            is_required="required" not in inner or findings.truth(inner["required"]),
        )
    return found


def _aliases(given: dict[str, Part], findings: Findings, owner: str) -> tuple[str, ...]:
    """Further names in the network. Which network does not matter here: all services are in one."""
    part = given.get("networks")
    found: dict[str, None] = {}
    if part is not None and isinstance(part.value, dict):
        for name in part.value:
            inner = findings.fields(part.at(name), keys.NETWORK_OF_SERVICE, owner)
            found.update(dict.fromkeys(findings.text(each) for each in _list(inner, "aliases", findings)))
    if "hostname" in given:
        findings.ignore("hostname", owner)
    if part is not None:
        findings.ignore("networks (all services are in one)", owner)
    return tuple(found)


def _limit(given: dict[str, Part], deploy: dict[str, Part], findings: Findings, owner: str) -> int:
    """The memory limit. Upstream: compose pkg/compose/create.go:getDeployResources"""
    if "tmpfs" in given:
        findings.ignore("tmpfs", owner)
    limit = findings.size(given["mem_limit"]) if "mem_limit" in given else 0
    if "resources" in deploy:
        resources = findings.fields(deploy["resources"], keys.RESOURCES, owner)
        if "limits" in resources:
            limits = findings.fields(resources["limits"], keys.LIMITS, owner)
            if "memory" in limits:
                limit = findings.size(limits["memory"])
    return limit
