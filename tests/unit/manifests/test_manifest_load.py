"""Loading manifests: sources, lists, namespaces, places of fields, and every mistake reported with its line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kubesim.api.kinds import CONFIG_MAP, DEPLOYMENT, NODE
from kubesim.errors import UserError
from kubesim.manifests import ManifestErrors, load
from kubesim.manifests.files import FILE_BYTES_MAX

STACK = Path(__file__).parents[3] / "specs" / "stack.yaml"

DEPLOYMENT_TEXT = """\
# the API
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
  labels:
    app.kubernetes.io/name: api
spec:
  selector:
    matchLabels: {app: api}
  template:
    metadata:
      labels: {app: api}
    spec:
      containers:
        - name: api
          image: api:1
          ports:
            - containerPort: 80
            - name: metrics
              containerPort: 81
"""


def load_text(text):
    """Manifests of a text given as standard input."""
    return load("-", stdin=io.StringIO(text))


def errors_of(*sources, stdin=None):
    """The lines of the error that loading these sources raises."""
    with pytest.raises(ManifestErrors) as caught:
        load(*sources, stdin=stdin)
    assert [str(error) for error in caught.value.errors] == str(caught.value).splitlines()
    return str(caught.value).splitlines()


def errors_of_text(text):
    """The lines of the error that loading this text raises."""
    return errors_of("-", stdin=io.StringIO(text))


def config_map(name, namespace=""):
    """The text of a ConfigMap."""
    place = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{place}}}\n"


def test_the_reference_stack_loads():
    """The stack that the project ships is without a mistake."""
    manifests = load(STACK)

    assert all(manifest.file == str(STACK) for manifest in manifests)
    assert [manifest.line for manifest in manifests] == sorted(manifest.line for manifest in manifests)
    assert {"Deployment", "StatefulSet", "Service"} <= {manifest.kind.kind for manifest in manifests}


def test_a_manifest_carries_its_object_kind_and_line():
    """Object, kind and the line of the document come together; the namespace is filled in as kubectl does."""
    (manifest,) = load_text(DEPLOYMENT_TEXT)

    assert manifest.kind is DEPLOYMENT
    assert manifest.line == 2
    assert manifest.object["metadata"]["namespace"] == "default"
    assert manifest.object["spec"]["selector"] == {"matchLabels": {"app": "api"}}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 2),
        ("kind", 3),
        ("metadata.name", 5),
        ("metadata.labels[app.kubernetes.io/name]", 7),
        ("metadata.labels.app.kubernetes.io/name", 7),
        ("metadata.annotations", 4),
        ("metadata.namespace", 4),
        ("spec.selector.matchLabels", 10),
        ("spec.selector.matchLabels[nosuch]", 10),
        ("spec.template.spec.containers[0].ports[1]", 20),
        ("spec.template.spec.containers[0].ports[1].containerPort", 21),
        ("spec.template.spec.containers[0].ports[7].name", 18),
        ("spec.template.spec.containers[0].livenessProbe.httpGet", 16),
        ("spec.replicas", 8),
        ("status.phase", 2),
        ("nonsense[[[", 2),
    ],
)
def test_a_field_path_has_a_line(path, line):
    """The API server's field paths lead to a line; an absent field to its nearest ancestor's."""
    (manifest,) = load_text(DEPLOYMENT_TEXT)

    assert manifest.line_of(path) == line
    assert manifest.locate(path) == f"<stdin>:{line}"


def test_lists_are_flattened():
    """Lists of any depth, and lists of one kind, give their items with their own lines."""
    text = """\
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: a}
  - apiVersion: v1
    kind: ConfigMapList
    items:
      - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
"""
    manifests = load_text(text)

    assert [(m.kind, m.object["metadata"]["name"], m.line) for m in manifests] == [
        (CONFIG_MAP, "a", 4),
        (CONFIG_MAP, "b", 10),
    ]
    assert manifests[0].line_of("metadata.name") == 6


def test_a_cluster_scoped_object_loses_its_namespace():
    """The API server drops a namespace from a cluster-scoped object; so do we."""
    (manifest,) = load_text("apiVersion: v1\nkind: Node\nmetadata: {name: a, namespace: b}\n")

    assert manifest.kind is NODE
    assert manifest.object["metadata"] == {"name": "a"}


def test_nulls_are_absent():
    """Null fields, as generators write them, do not reach the object."""
    (manifest,) = load_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, creationTimestamp: null}\ndata:\n")

    assert manifest.object == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "default"},
    }


def test_json_is_read_like_yaml():
    """A JSON file, tabs included, loads with its lines."""
    (manifest,) = load_text('{\n\t"apiVersion": "v1",\n\t"kind": "ConfigMap",\n\t"metadata": {"name": "a"}\n}\n')

    assert manifest.kind is CONFIG_MAP
    assert manifest.line_of("metadata.name") == 4


def test_a_folder_is_read_by_name_and_not_recursively(tmp_path):
    """As `kubectl apply -f DIR`: the folder's own YAML and JSON files in order of name."""
    (tmp_path / "b.yml").write_text(config_map("b"))
    (tmp_path / "a.yaml").write_text(config_map("a") + "---\n" + config_map("a2"))
    (tmp_path / "c.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}')
    (tmp_path / "notes.txt").write_text("not a manifest")
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.yaml").write_text(config_map("d"))

    manifests = load(tmp_path)

    assert [m.object["metadata"]["name"] for m in manifests] == ["a", "a2", "b", "c"]
    assert manifests[1].locate("metadata") == f"{tmp_path / 'a.yaml'}:7"


def test_every_structural_mistake_is_reported_with_its_line():
    """Unknown, mistyped, missing and repeated fields all come out at once, by line, with what to do."""
    text = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
  labels: {tier: 5}
spec:
  replica: 3
  replicas: "3"
  replicas: 4
  selector: {matchLabels: {a: b}}
  template:
    spec:
      containers:
        - image: x
          ports:
            - containerPort: "80"
"""
    assert errors_of_text(text) == [
        '<stdin>:5: Deployment "api": "metadata.labels[tier]" must be text, not 5; put it in quotes',
        '<stdin>:7: Deployment "api": "spec.replica" is not a field of DeploymentSpec; write "replicas"',
        '<stdin>:9: Deployment "api": the key "replicas" was already given at line 8; keep one',
        '<stdin>:14: Deployment "api": the required field "spec.template.spec.containers[0].name" is missing; add it',
        '<stdin>:16: Deployment "api": "spec.template.spec.containers[0].ports[0].containerPort" must be a whole number of 32 bits, not the text "80"; remove the quotes',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "apiVersion: apps/v1beta1\nkind: Deployment\n",
            "<stdin>:1: Kubernetes 1.36 has no apps/v1beta1 Deployment; write apps/v1 Deployment",
        ),
        (
            "apiVersion: apps/v1\nkind: Deploymnet\n",
            "<stdin>:2: Kubernetes 1.36 has no apps/v1 Deploymnet; write apps/v1 Deployment",
        ),
        (
            "apiVersion: kopf.dev/v1\nkind: Frobnicator\n",
            "<stdin>:2: Kubernetes 1.36 has no kopf.dev/v1 Frobnicator; give a built-in kind; custom resources are not known here",
        ),
        ("kind: Pod\n", '<stdin>:1: the object has no apiVersion; add it, as in "apiVersion: apps/v1"'),
        ("\napiVersion: v1\n", '<stdin>:2: the object has no kind; add it, as in "kind: Deployment"'),
        ("apiVersion: v1\nkind: [a]\n", '<stdin>:2: kind must be text; write it as in "kind: Deployment"'),
        ("- a\n", "<stdin>:1: not a Kubernetes object but a list; start it with apiVersion and kind"),
        ("hello\n", "<stdin>:1: not a Kubernetes object but a single value; start it with apiVersion and kind"),
        ("", "<stdin>: there is no object in it; give at least one manifest"),
        ("# only\n---\n", "<stdin>: there is no object in it; give at least one manifest"),
        (
            "apiVersion: v1\nkind: List\nitems: 5\n",
            '<stdin>:3: "items" of a List must be a list; write each object after a dash',
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
            '<stdin>:3: ConfigMap: the required field "metadata.name" is missing; add it',
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: x\n",
            '<stdin>:3: ConfigMap: "metadata" must be a mapping, not the text "x"; correct the value',
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
            '<stdin>:1: Pod "a": "spec" is missing; add it, with containers',
        ),
        (
            'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"x\\n\\e": 1\n',
            '<stdin>:4: ConfigMap "a": "x\\n\\x1b" is not a field of ConfigMap; remove it, or move it to where it belongs',
        ),
        (
            "a: [b\nc\n",
            "<stdin>:3:1: not YAML: while parsing a flow sequence did not find expected ',' or ']'; correct the syntax here or just above",
        ),
        ("a: \0", "<stdin>:1: not a text file in UTF-8; give a YAML or JSON manifest saved as UTF-8"),
        ("\ud800", "<stdin>:1: not a text file in UTF-8; give a YAML or JSON manifest saved as UTF-8"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_mistake_is_one_line_that_says_what_to_do(text, expected):
    """One mistake, one line: where, what, and what to do."""
    assert errors_of_text(text) == [expected]


def test_the_same_object_twice_is_refused_with_both_places(tmp_path):
    """Kind, namespace and name identify an object over all sources; other namespaces are other objects."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(config_map("x") + "---\n" + config_map("x", "other"))
    second.write_text("# again\n" + config_map("x", "default"))

    assert errors_of(first, second) == [
        f'{second}:2: ConfigMap "x" was already given at {first}:1; keep one, or rename one'
    ]


def test_mistakes_of_all_files_are_reported_together(tmp_path):
    """A bad file does not hide the next one's mistakes; a syntax error not the earlier documents'."""
    (tmp_path / "a.yaml").write_text("kind: Pod\n---\na: [\n")
    (tmp_path / "b.yaml").write_bytes(b"a: b\nc: \xff\xfe")
    (tmp_path / "c.yaml").write_text(config_map("x") + "foo: 1\n")

    places = [line.removeprefix(f"{tmp_path}/").split(" ")[0] for line in errors_of(tmp_path)]

    assert places == ["a.yaml:1:", "a.yaml:4:1:", "b.yaml:2:", "c.yaml:4:"]


def test_sources_that_cannot_be_read_say_so(tmp_path):
    """A missing path, an empty folder and a file too big each have their own line; a big file is not read."""
    big = tmp_path / "big.yaml"
    with big.open("wb") as stream:
        stream.truncate(FILE_BYTES_MAX + 1)
    empty = tmp_path / "empty"
    empty.mkdir()
    missing = tmp_path / "nosuch.yaml"

    assert errors_of(missing, empty, big) == [
        f"{missing}: there is no such file or folder; check the path",
        f"{empty}: the folder has no *.yaml, *.yml or *.json file (subfolders are not searched); name a folder that has manifests",
        f"{big}: bigger than 16 MiB, too big for a manifest; split it",
    ]
    assert issubclass(ManifestErrors, UserError)


def test_standard_input_has_the_same_bound():
    """A text beyond the limit is refused after reading no more than the limit."""
    assert errors_of_text("#" * (FILE_BYTES_MAX + 10)) == [
        "<stdin>: bigger than 16 MiB, too big for a manifest; split it"
    ]
