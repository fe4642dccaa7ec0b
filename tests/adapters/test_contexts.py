"""Which context is meant: never one that was not named."""

from __future__ import annotations

import pytest
import yaml

from adapters.contexts import choose_target
from kubesim.errors import UserError


def kubeconfig(folder, name, *contexts):
    file = folder / name
    entries = [
        {"name": each, "context": {"cluster": each, "user": each, "namespace": f"{name}-{each}"}} for each in contexts
    ]
    file.write_text(yaml.safe_dump({"contexts": entries, "current-context": contexts[0] if contexts else ""}))
    return file


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch, tmp_path):
    """No kubeconfig of the machine's."""
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_named_context_is_found_in_the_merged_files(monkeypatch, tmp_path):
    """Of two files with one name the first counts, as for kubectl; a file that is not there is passed over."""
    first, second = kubeconfig(tmp_path, "one", "a", "b"), kubeconfig(tmp_path, "two", "b", "c")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")

    assert choose_target("b", None, None, tmp_path).namespace == "one-b"
    assert choose_target("c", None, None, tmp_path) == ("c", (first, second), "two-c")
    assert choose_target("c", "mine", None, tmp_path).namespace == "mine"


def test_the_current_context_is_no_wish(monkeypatch, tmp_path):
    """Without a name nothing is done, although the file has a current context."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "one", "a")))

    with pytest.raises(UserError, match=r"no context is named; add --context NAME, or .* \(known here: a\)"):
        choose_target(None, None, None, tmp_path)


def test_a_settings_file_can_name_it(tmp_path):
    """The words on the command line go before it."""
    file = kubeconfig(tmp_path, "one", "a", "b")
    (tmp_path / "kubesim.toml").write_text(f'[cluster]\ncontext = "a"\nkubeconfig = "{file}"\n')

    assert choose_target(None, None, None, tmp_path) == ("a", (file,), "one-a")
    assert choose_target("b", None, None, tmp_path).context == "b"


@pytest.mark.parametrize(
    "settings, message",
    [
        ('[cluster]\ncontxt = "a"\n', "contxt: not a setting that is known; there are context, namespace, kubeconfig"),
        ("[cluster\n", "kubesim.toml"),
    ],
)
def test_a_wrong_settings_file_is_a_line(tmp_path, settings, message):
    """It says where and what is known."""
    (tmp_path / "kubesim.toml").write_text(settings)

    with pytest.raises(UserError, match=message):
        choose_target("a", None, None, tmp_path)


@pytest.mark.parametrize(
    "context, files, message",
    [
        ("prod-eest", ("prod-east",), 'there is no context "prod-eest" in .*; did you mean prod-east?'),
        ("x", (), "there is no kubeconfig at .*; set KUBECONFIG"),
        ("in-cluster", (), "this is no Pod of a cluster"),
    ],
)
def test_what_is_not_there_is_a_line(monkeypatch, tmp_path, context, files, message):
    """It names the nearest, or what to do."""
    if files:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "one", *files)))

    with pytest.raises(UserError, match=message):
        choose_target(context, None, None, tmp_path)


def test_a_file_that_is_no_kubeconfig_is_a_line(tmp_path):
    """Broken YAML does not end in a traceback."""
    file = tmp_path / "config"
    file.write_text("{contexts: [")

    with pytest.raises(UserError, match="cannot be read as a kubeconfig"):
        choose_target("a", None, str(file), tmp_path)
