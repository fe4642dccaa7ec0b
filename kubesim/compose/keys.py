"""Which keys a Compose file may have where: the modelled ones, and those that Compose knows and nothing here acts on.

Upstream: compose-spec schema/compose-spec.json
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Keys(NamedTuple):
    """The keys of one kind of mapping. A key that begins with `x-` is an extension and may stand anywhere."""

    modelled: tuple[str, ...]
    ignored: tuple[str, ...] = ()


TOP: Final = Keys(("name", "services", "volumes"), ("version", "networks", "secrets", "configs", "include", "models"))
SERVICE: Final = Keys(
    (
        *("image", "build", "command", "entrypoint", "environment", "labels", "deploy", "scale", "container_name"),
        *("restart", "stop_grace_period", "healthcheck", "ports", "volumes", "tmpfs", "depends_on", "networks"),
        *("mem_limit", "hostname"),
    ),
    (
        *("annotations", "attach", "blkio_config", "cap_add", "cap_drop", "cgroup", "cgroup_parent", "configs"),
        *("cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares"),
        *("cpus", "cpuset", "credential_spec", "develop", "device_cgroup_rules", "devices", "dns", "dns_opt"),
        *("dns_search", "domainname", "env_file", "expose", "extends", "external_links", "extra_hosts", "gpus"),
        *("group_add", "init", "ipc", "isolation", "label_file", "links", "logging", "mac_address"),
        *("mem_reservation", "mem_swappiness", "memswap_limit", "models", "network_mode", "oom_kill_disable"),
        *("oom_score_adj", "pid", "pids_limit", "platform", "post_start", "pre_stop", "privileged", "profiles"),
        *("provider", "pull_policy", "pull_refresh_after", "read_only", "runtime", "secrets", "security_opt"),
        *("shm_size", "stdin_open", "stop_signal", "storage_opt", "sysctls", "tty", "ulimits", "use_api_socket"),
        *("user", "userns_mode", "uts", "volumes_from", "working_dir"),
    ),
)
# Where what is left out decides what runs at all, a run would be about another stack.
REFUSED: Final = {
    "include": "write the other file's services into this one",
    "extends": "write the other service's keys into this one",
    "network_mode": "leave the service in the project's own network",
    "env_file": "write its variables under environment",
    "profiles": "leave out what should not run",
    "volumes_from": "name the volumes in both services",
    "provider": "describe a container",
    "links": "use the service's name",
}
HEALTHCHECK: Final = Keys(("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"))
DEPENDENCY: Final = Keys(("condition", "restart", "required"))
DEPLOY: Final = Keys(
    ("replicas", "resources", "restart_policy"),
    ("mode", "endpoint_mode", "labels", "update_config", "rollback_config", "placement"),
)
RESOURCES: Final = Keys(("limits",), ("reservations",))
LIMITS: Final = Keys(("memory",), ("cpus", "pids"))
RESTART_POLICY: Final = Keys(("condition", "max_attempts"), ("delay", "window"))
PORT: Final = Keys(("target", "published", "protocol"), ("name", "mode", "host_ip", "app_protocol"))
VOLUME: Final = Keys(("type", "source", "target"), ("read_only", "consistency", "bind", "volume", "tmpfs", "image"))
NETWORK_OF_SERVICE: Final = Keys(
    ("aliases",),
    (
        *("interface_name", "ipv4_address", "ipv6_address", "link_local_ips", "mac_address", "driver_opts"),
        *("priority", "gw_priority"),
    ),
)
