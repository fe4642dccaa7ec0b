"""What scripts come to: the same as in a real shell, and in virtual time."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kubesim.programs.program import Volume
from kubesim.programs.shell.files import Files
from kubesim.programs.shell.interpreter import Shell, Streams
from kubesim.programs.shell.utilities import UTILITIES
from kubesim.sim.loop import SECOND

SH = shutil.which("sh")
# Each is run in a folder of its own, and by a real sh where there is one: code and output, errors after the rest.
SCRIPTS = (
    ("exit 3", 3, ""),
    ("echo hi; false", 1, "hi\n"),
    ("true && echo a || echo b", 0, "a\n"),
    ("false && echo a || echo b", 0, "b\n"),
    ("false || exit 4; echo not reached", 4, ""),
    ("! true; echo $?", 0, "1\n"),
    ("for i in 1 2 3; do echo $i; done", 0, "1\n2\n3\n"),
    ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo n$i; done", 0, "n1\nn2\nn3\n"),
    ("until [ -e there ]; do touch there; done; ls", 0, "there\n"),
    ("while true; do break; done; echo out", 0, "out\n"),
    ("for i in 1 2; do if [ $i = 1 ]; then continue; fi; echo $i; done", 0, "2\n"),
    ("if test -f x; then echo y; elif test -d .; then echo folder; else echo n; fi", 0, "folder\n"),
    ("echo a > f; echo b >> f; cat f; rm f; cat f", 1, "a\nb\ncat: f: No such file or directory\n"),
    ("touch no/where", 1, "touch: cannot touch 'no/where': No such file or directory\n"),
    ("mkdir -p a/b && touch a/b/c && ls a/b && test -s a/b/c", 1, "c\n"),
    ("echo text > from; cp from to; mv to other; cat other; [ -e to ]", 1, "text\n"),
    ('x=5; echo ${x:-1} ${y:-2} "$x b" ${#x} ${x:+set}', 0, "5 2 5 b 1 set\n"),
    ("a='x y'; for w in $a; do echo [$w]; done; echo \"$a\"", 0, "[x]\n[y]\nx y\n"),
    ("echo $(echo inner | cat) $((2*3+4)) $((7/2)) $((1<2))", 0, "inner 10 3 1\n"),
    ("(exit 7); echo $?", 0, "7\n"),
    ("x=1; (x=2); echo $x; { x=3; }; echo $x", 0, "1\n3\n"),
    ("echo one two | grep -q two && echo found", 0, "found\n"),
    ("{ echo g; echo h; } > o; head -n 1 o", 0, "g\n"),
    ("set -e; if false; then :; fi; false; echo no", 1, ""),
    ("trap 'echo bye' EXIT; echo hi", 0, "hi\nbye\n"),
    ("sh -c 'exit 9'; echo $?", 0, "9\n"),
    ("x=1 sh -c 'echo $x$0' zero", 0, "1zero\n"),
    ("echo 'a;b' \"c && d\" e\\ f # not this", 0, "a;b c && d e f\n"),
    ("printf '%s-%s\\n' a b; echo -n c", 0, "a-b\nc"),
    ("echo lost > /dev/null; echo kept 2>/dev/null", 0, "kept\n"),
    ("cat missing 2>/dev/null || echo missing", 0, "missing\n"),
    ("exec echo last; echo not reached", 0, "last\n"),
    ("env -i true; test 1 -eq 1 -a 2 -gt 1", 0, ""),
    ("sleep 0.01 & wait; echo done", 0, "done\n"),
    ("timeout 0.05 sleep 5; echo $?", 0, "124\n"),
    ("timeout 0.05 sleep 1 || echo $?; timeout 0.05 false; echo $?", 0, "124\n1\n"),
    ("(timeout -s KILL 0.05 sleep 1; echo $?; timeout -k 1 0.05 sleep 1; echo $?) 2>/dev/null", 0, "137\n124\n"),
    ("timeout --preserve-status -s INT 0.05 sleep 1; echo $?; timeout 0 true; echo $?", 0, "130\n0\n"),
    ("(timeout 1 nosuch; echo $?; timeout 1 exit 3; echo $?) 2>/dev/null", 0, "127\n127\n"),
    (
        "(timeout --no 1 true; echo $?; timeout; echo $?; timeout -s NO 1 true; echo $?) 2>/dev/null",
        0,
        "125\n125\n125\n",
    ),
    ("touch f; mv -v f g; cp -v g h; mkdir d; mv -v h d/", 0, "renamed 'f' -> 'g'\n'g' -> 'h'\nrenamed 'h' -> 'd/h'\n"),
    ("set -x; true a b; c=2; set +x; true", 0, "+ true a b\n+ c=2\n+ set +x\n"),
    ("cd /usr && pwd", 0, "/usr\n"),
    ("timeout 1m true; echo $?", 0, "0\n"),
    ("([ a =~ b ]; echo $?) 2>/dev/null", 0, "2\n"),
    ("(seq || seq a || cp || timeout x true || sleep nan || sleep -1 || echo none) 2>/dev/null", 0, "none\n"),
    ("({ cat; } < nope; echo $?; (cat) > no/where; echo $?) 2>/dev/null", 0, "2\n2\n"),
    ("((sleep 0.01; echo $((1/0))) & wait; echo out) 2>/dev/null", 0, "out\n"),
)


def run(script, volumes=None):
    """The exit code, what is printed and the seconds that it takes."""
    shown, span_ns = [], 0
    shell = Shell(Files(volumes or {}), {}, UTILITIES)
    shell.files.make_folder("/work")
    shell.folder = "/work"
    steps = shell.run(script, Streams("", shown.append, shown.append))
    while True:
        try:
            span_ns += max(0, next(steps))
        except StopIteration as end:
            return end.value, "".join(shown), span_ns / SECOND


@pytest.mark.parametrize("script, code, shown", SCRIPTS, ids=[each[0] for each in SCRIPTS])
def test_a_script_does_what_it_says(script, code, shown):
    """Exit code and output are those of POSIX."""
    assert run(script)[:2] == (code, shown)


@pytest.mark.skipif(SH is None, reason="no sh on PATH")
@pytest.mark.parametrize("script, code, shown", SCRIPTS, ids=[each[0] for each in SCRIPTS])
def test_a_real_shell_does_the_same(script, code, shown, tmp_path):
    """The expected values are a real shell's."""
    done = subprocess.run([SH, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout + done.stderr) == (code, shown)


@pytest.mark.parametrize(
    "script, seconds",
    [("sleep 90", 90), ("sleep 1m 2s; sleep 0.5", 62.5), ("for i in 1 2 3; do sleep 2; done", 6)],
)
def test_sleeping_takes_virtual_time(script, seconds):
    """No real time passes, and all of the virtual one."""
    assert run(script) == (0, "", seconds)


@pytest.mark.parametrize(
    "script, shown",
    [
        ("nosuch --flag", "sh: 1: nosuch: not found\n"),
        ("if true; then echo", 'sh: 1: Syntax error: "end of file" unexpected (expecting "fi")\n'),
        ("echo 'open", "sh: 1: Syntax error: Unterminated quoted string\n"),
        ("cat <<END", "sh: 1: here-documents are not known here\n"),
        ("(" * 1000, "sh: 1: nested too deeply\n"),
    ],
)
def test_what_cannot_be_run_says_so(script, shown):
    """As a shell does, on standard error."""
    code, said, _ = run(script)

    assert (code in (2, 127), said) == (True, shown)


def test_volumes_are_shared_and_hide_what_is_below():
    """Two containers see one volume under different paths; each has its own files beside it."""
    volume = Volume("shared")
    volume.files["key"] = "value"

    assert run("cat /config/key; echo new > /config/made; ls /config", {"/config": volume})[1] == "valuekey\nmade\n"
    assert run("cat /other/place/made; ls /other", {"/other/place": volume})[1] == "new\nplace\n"
