"""Rows of Pods and of what makes Pods."""

from __future__ import annotations

from typing import Any, Final

from kubesim.api.conditions import is_condition_true
from kubesim.api.objects import Object, controller_of
from kubesim.api.selectors import selector_text
from kubesim.api.timestamps import from_time
from kubesim.printing.ages import age, human_duration
from kubesim.printing.pod import pod_row
from kubesim.printing.row import (
    NONE,
    Cells,
    Printed,
    age_of,
    columns,
    container_cells,
    labels_text,
    name_of,
    spec_of,
    status_of,
    template_cells,
)

_JOB_STATES: Final = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)
_OF_TEMPLATE: Final = "Containers, Images, Selector"


def _selector(obj: Object) -> str:
    selector = spec_of(obj).get("selector")
    return selector_text(selector) or NONE if selector else NONE


def _deployment(obj: Object, now_ns: int) -> Cells:
    status = status_of(obj)
    return (
        name_of(obj),
        f"{status.get('readyReplicas', 0)}/{spec_of(obj).get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(obj, now_ns),
        *template_cells(obj),
        _selector(obj),
    )


def _replica_set(obj: Object, now_ns: int) -> Cells:
    return (*_counted(obj, now_ns), _selector(obj))


def _replication_controller(obj: Object, now_ns: int) -> Cells:
    return (*_counted(obj, now_ns), labels_text(spec_of(obj).get("selector")))


def _counted(obj: Object, now_ns: int) -> Cells:
    status = status_of(obj)
    return (
        name_of(obj),
        spec_of(obj).get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age_of(obj, now_ns),
        *template_cells(obj),
    )


def _stateful_set(obj: Object, now_ns: int) -> Cells:
    ready = f"{status_of(obj).get('readyReplicas', 0)}/{spec_of(obj).get('replicas', 1)}"
    return name_of(obj), ready, age_of(obj, now_ns), *template_cells(obj)


def _daemon_set(obj: Object, now_ns: int) -> Cells:
    status = status_of(obj)
    template = (spec_of(obj).get("template") or {}).get("spec") or {}
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    return (
        name_of(obj),
        *(status.get(count, 0) for count in counts),
        status.get("numberAvailable", 0),
        labels_text(template.get("nodeSelector")),
        age_of(obj, now_ns),
        *container_cells(template),
        _selector(obj),
    )


def _job(obj: Object, now_ns: int) -> Cells:
    spec, status = spec_of(obj), status_of(obj)
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism", 0)
    completions = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    return (
        name_of(obj),
        _job_state(obj),
        completions,
        _job_duration(status, now_ns),
        age_of(obj, now_ns),
        *template_cells(obj),
        _selector(obj),
    )


def _job_state(obj: Object) -> str:
    conditions = status_of(obj).get("conditions")
    for condition, state in _JOB_STATES:
        if is_condition_true(conditions, condition) if condition else "deletionTimestamp" in obj["metadata"]:
            return state
    return "Running"


def _job_duration(status: Any, now_ns: int) -> str:
    start = status.get("startTime")
    if not start:
        return ""
    end = status.get("completionTime")
    return human_duration((from_time(end) if end else now_ns) - from_time(start))


def _cron_job(obj: Object, now_ns: int) -> Cells:
    spec, status = spec_of(obj), status_of(obj)
    last = status.get("lastScheduleTime")
    job = spec.get("jobTemplate") or {}
    return (
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(status.get("active") or ()),
        age(last, now_ns) if last else NONE,
        age_of(obj, now_ns),
        *template_cells(job),
        _selector(job),
    )


def _controller_revision(obj: Object, now_ns: int) -> Cells:
    controller = controller_of(obj)
    owner = NONE
    if controller is not None:
        group = controller["apiVersion"].rpartition("/")[0]
        kind = f"{controller['kind']}.{group}" if group else controller["kind"]
        owner = f"{kind.lower()}/{controller['name']}"
    return name_of(obj), owner, obj.get("revision", 0), age_of(obj, now_ns)


def _pod_template(obj: Object, _now_ns: int) -> Cells:
    template = obj.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    return name_of(obj), *container_cells(template.get("spec") or {}), labels_text(labels)


_COUNTED: Final = columns("Desired:integer, Current:integer, Ready:integer, Age", _OF_TEMPLATE)
_DAEMON_COUNTS: Final = "Desired:integer, Current:integer, Ready:integer, Up-to-date:integer, Available:integer"
WORKLOADS: Final[dict[str, Printed]] = {
    "pods": Printed(
        columns("Ready, Status, Restarts, Age", "IP, Node, Nominated Node, Readiness Gates"),
        pod_row,
    ),
    "deployments.apps": Printed(columns("Ready, Up-to-date, Available, Age", _OF_TEMPLATE), _deployment),
    "replicasets.apps": Printed(_COUNTED, _replica_set),
    "replicationcontrollers": Printed(_COUNTED, _replication_controller),
    "statefulsets.apps": Printed(columns("Ready, Age", "Containers, Images"), _stateful_set),
    "daemonsets.apps": Printed(columns(f"{_DAEMON_COUNTS}, Node Selector, Age", _OF_TEMPLATE), _daemon_set),
    "jobs.batch": Printed(columns("Status, Completions, Duration, Age", _OF_TEMPLATE), _job),
    "cronjobs.batch": Printed(
        columns("Schedule, Timezone, Suspend:boolean, Active:integer, Last Schedule, Age", _OF_TEMPLATE), _cron_job
    ),
    "controllerrevisions.apps": Printed(columns("Controller, Revision, Age"), _controller_revision),
    "podtemplates": Printed(columns("Containers, Images, Pod Labels"), _pod_template),
}
