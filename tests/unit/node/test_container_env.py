"""Environment variables of containers. Upstream: pkg/kubelet/kubelet_pods_test.go:TestMakeEnvironmentVariables @v1.36"""

from __future__ import annotations

import pytest

from kubesim.node.env import EnvError, EnvSources, expand, expand_arguments, make_environment, service_variables

POD = {
    "metadata": {
        "name": "web",
        "namespace": "default",
        "uid": "u1",
        "labels": {"app": "web"},
        "annotations": {"a": "b"},
    },
    "spec": {"nodeName": "node-1", "serviceAccountName": "sa", "containers": [], "initContainers": []},
}
OBJECTS = {
    "cm": {"data": {"key": "value", "OTHER": "x"}},
    "secret": {"data": {"password": "aHVudGVyMg=="}},
}
SERVICES = {"DB_SERVICE_HOST": "10.96.0.7"}
SOURCES = EnvSources(
    SERVICES,
    lambda _namespace, name: OBJECTS.get(name),
    lambda _namespace, name: OBJECTS.get(name),
    "10.1.0.1",
    "10.0.0.1",
    {"cpu": "4", "memory": "8Gi"},
)


def env_of(*env, env_from=(), **container):
    container = {"name": "main", "env": list(env), "envFrom": list(env_from), **container}
    made = make_environment(POD, container, SOURCES)
    return {name: value for name, value in made.items() if name not in SERVICES}


@pytest.mark.parametrize(
    "source, value",
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.annotations"}}, 'a="b"'),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "node-1"),
        ({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "sa"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.1.0.1"),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "10.0.0.1"),
        ({"configMapKeyRef": {"name": "cm", "key": "key"}}, "value"),
        ({"secretKeyRef": {"name": "secret", "key": "password"}}, "hunter2"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "64"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "4"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "1"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_values_from_elsewhere(source, value):
    """Each source gives the text that the kubelet gives; a missing limit is the node's allocatable, cpu rounds up."""
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "100m"}}

    assert env_of({"name": "A", "valueFrom": source}, resources=resources) == {"A": value}


@pytest.mark.parametrize(
    "source, message",
    [
        ({"configMapKeyRef": {"name": "gone", "key": "k"}}, 'configmap "gone" not found'),
        ({"secretKeyRef": {"name": "gone", "key": "k"}}, 'secret "gone" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "k"}}, "couldn't find key k in ConfigMap default/cm"),
        ({"secretKeyRef": {"name": "secret", "key": "k"}}, "couldn't find key k in Secret default/secret"),
    ],
    ids=["no ConfigMap", "no Secret", "no key in the ConfigMap", "no key in the Secret"],
)
def test_what_is_missing(source, message):
    """A missing source is an error with the kubelet's text (recording b2), unless it is optional."""
    with pytest.raises(EnvError) as caught:
        env_of({"name": "A", "valueFrom": source})
    assert str(caught.value) == message

    kind, reference = next(iter(source.items()))
    assert env_of({"name": "A", "valueFrom": {kind: {**reference, "optional": True}}}) == {}


def test_env_comes_before_env_from():
    """All keys of a source are taken with the prefix, and `env` wins over them."""
    env_from = [{"configMapRef": {"name": "cm"}}, {"prefix": "S_", "secretRef": {"name": "secret"}}]

    made = env_of({"name": "OTHER", "value": "mine"}, env_from=env_from)

    assert made == {"key": "value", "OTHER": "mine", "S_password": "hunter2"}


def test_references_between_variables():
    """A value sees variables declared before it and Services; what isn't known stays as it is written."""
    made = env_of(
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(DB_SERVICE_HOST)-$(C)-$$(A)"},
        {"name": "C", "value": "3"},
    )

    assert made["B"] == "1-10.96.0.7-$(C)-$(A)"


# Upstream: third_party/forked/golang/expansion/expand_test.go @v1.36
@pytest.mark.parametrize(
    "text, expanded",
    [
        ("$(VAR_A)", "A"),
        ("___$(VAR_B)___", "___B___"),
        ("$(VAR_A)-1", "A-1"),
        ("$$(VAR_B)_$(VAR_A)", "$(VAR_B)_A"),
        ("$$$(VAR_A)", "$A"),
        ("f000-$$VAR_A", "f000-$VAR_A"),
        ("foo\\$(VAR_C)bar", "foo\\Cbar"),
        ("$(VAR_A", "$(VAR_A"),
        ("$()", "$()"),
        ("$", "$"),
        ("$VAR_A", "$VAR_A"),
        ("foo$", "foo$"),
    ],
)
def test_expand(text, expanded):
    """References follow upstream's rules for dollars and parentheses."""
    known = {"VAR_A": "A", "VAR_B": "B", "VAR_C": "C"}

    assert expand(text, known.get) == expanded


def test_service_variables():
    """A Service of the namespace and the API server's own give the Docker-compatible variables; headless ones none."""
    services = [
        {
            "metadata": {"name": "my-db", "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 5432, "name": "sql"}]},
        },
        {"metadata": {"name": "none", "namespace": "default"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}},
        {"metadata": {"name": "far", "namespace": "other"}, "spec": {"clusterIP": "10.96.0.8", "ports": [{"port": 1}]}},
    ]

    assert service_variables(services, "default", has_links=True) == {
        "MY_DB_SERVICE_HOST": "10.96.0.7",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL": "5432",
        "MY_DB_PORT": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.96.0.7",
    }
    assert service_variables(services, "default", has_links=False) == {}


def test_arguments():
    """Command and arguments are expanded too."""
    assert expand_arguments({"command": ["run", "$(A)"], "args": ["$(B)"]}, {"A": "1"}) == ("run", "1", "$(B)")
