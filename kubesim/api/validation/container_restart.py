"""Restart policy, restart rules and resize policy of one container.

Upstream: pkg/apis/core/validation/validation.go:validateContainerRestartPolicy, validateResizePolicy @v1.36,
pkg/api/v1/pod/util.go:ContainerShouldRestart
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesim.api.objects import Object
from kubesim.api.validation.field import duplicate, invalid, not_supported, required, too_many
from kubesim.errors import Cause

_POLICIES = ("Always", "Never", "OnFailure")
_ACTIONS = ("Restart", "RestartAllContainers")
_OPERATORS = ("In", "NotIn")
_RESIZABLE = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")


def validate_restart_rules(container: Object, path: str, *, init: bool = False) -> Iterator[Cause]:
    """`restartPolicy` and `restartPolicyRules` of a regular or init container."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if rules:
            yield required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
        if init or not rules:
            return
    elif policy not in _POLICIES:
        yield not_supported(f"{path}.restartPolicy", policy, _POLICIES)
    if len(rules) > 20:
        yield too_many(f"{path}.restartPolicyRules", len(rules), 20)
    for index, rule in enumerate(rules):
        yield from _rule(rule, f"{path}.restartPolicyRules[{index}]")


def _rule(rule: Object, path: str) -> Iterator[Cause]:
    if rule.get("action", "") not in _ACTIONS:
        yield not_supported(f"{path}.action", rule.get("action", ""), _ACTIONS)
    codes = rule.get("exitCodes")
    if codes is None:
        yield required(f"{path}.exitCodes", "must be specified")
        return
    if codes.get("operator", "") not in _OPERATORS:
        yield not_supported(f"{path}.exitCodes.operator", codes.get("operator", ""), _OPERATORS)
    values = codes.get("values") or ()
    if len(values) > 255:
        yield too_many(f"{path}.exitCodes.values", len(values), 255)


def validate_resize_policy(policies: Sequence[Object], pod_restart_policy: str, path: str) -> Iterator[Cause]:
    """Which resources may change in place, each named once."""
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        resource, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if resource in seen:
            yield duplicate(f"{path}[{index}]", resource)
        seen.add(resource)
        yield from _one_of(resource, _RESIZABLE, path)
        yield from _one_of(restart, _RESIZE_POLICIES, path)
        if pod_restart_policy == "Never" and restart != "NotRequired":
            yield invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'")


def _one_of(value: str, choices: tuple[str, ...], path: str) -> Iterator[Cause]:
    if not value:
        yield required(path)
    elif value not in choices:
        yield not_supported(path, value, choices)


def should_restart(container: Object, spec: Object, exit_code: int) -> bool:
    """Whether a container that ended with `exit_code` is to be started again: its rules, its policy, the Pod's."""
    policy = container.get("restartPolicy")
    if policy is not None:
        for rule in container.get("restartPolicyRules") or ():
            if _matches(rule.get("exitCodes"), exit_code):
                return True
        if policy in _POLICIES:
            return _restarts(policy, exit_code)
    return _restarts(spec.get("restartPolicy", "Always"), exit_code)


def _restarts(policy: str, exit_code: int) -> bool:
    return exit_code != 0 if policy == "OnFailure" else policy != "Never"


def _matches(codes: Object | None, exit_code: int) -> bool:
    if codes is None:
        return False
    listed = exit_code in (codes.get("values") or ())
    return listed if codes.get("operator") == "In" else not listed


def could_restart_all(spec: Object) -> bool:
    """Whether some container's rule may restart the whole Pod, so that any container may leave `terminated`."""
    for field_name in ("initContainers", "containers"):
        for container in spec.get(field_name) or ():
            for rule in container.get("restartPolicyRules") or ():
                if rule.get("action") == "RestartAllContainers":
                    return True
    return False
