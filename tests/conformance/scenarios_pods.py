"""What was done to the real cluster for the recordings of single Pods (a, b), step by step."""

from __future__ import annotations

from replay import Replay

READY_FILE = "/tmp/ready"  # noqa: S108 - in a simulated container
IMG = "image: python:3.11-slim, imagePullPolicy: IfNotPresent"
QUIT = """command: [sh, -c, 'trap "exit 0" TERM; sleep 3600 & wait']"""


def pod(name: str, spec: str, more: str = "") -> str:
    indented = "\n".join("  " + line for line in spec.strip("\n").splitlines())
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}{more}}}\nspec:\n{indented}\n"


def one(name: str, rest: str, grace: int = 1, spec: str = "") -> str:
    return pod(name, f"{spec}terminationGracePeriodSeconds: {grace}\ncontainers:\n- {{name: main, {rest}}}")


def conditions(replay: Replay, name: str) -> dict[str, str]:
    return {c["type"]: c["status"] for c in replay.latest("pods", name)["status"]["conditions"]}


def plain_pod(r: Replay) -> None:
    taint = {"key": "example.com/wait", "effect": "NoSchedule"}
    r.patch("node/node-1", {"spec": {"taints": [taint]}})
    r.sleep(0.7)
    r.apply(one("plain", f"{IMG}, command: [sleep, '3600']", 5))
    r.sleep(8.7)
    r.patch("node/node-1", {"spec": {"taints": None}})
    r.pod_ready("plain")
    r.sleep(1.2)
    r.delete("pod/plain")
    r.gone("pods", "plain")


def probes(r: Replay) -> None:
    r.apply(
        pod(
            "probed",
            f"""
terminationGracePeriodSeconds: 2
containers:
- name: main
  {IMG.replace(", ", chr(10) + "  ")}
  command: [sh, -c, 'sleep 3; touch /tmp/up /tmp/ready; sleep 3600']
  startupProbe: {{exec: {{command: [cat, /tmp/up]}}, periodSeconds: 1, failureThreshold: 30}}
  readinessProbe: {{exec: {{command: [cat, /tmp/ready]}}, periodSeconds: 2, failureThreshold: 2}}
  livenessProbe: {{exec: {{command: [cat, /tmp/up]}}, periodSeconds: 2, failureThreshold: 2}}
""",
        )
    )
    r.pod_ready("probed")
    r.sleep(1)
    r.exec("probed", "rm", READY_FILE)
    r.wait(lambda r: conditions(r, "probed")["Ready"] == "False", 20)
    r.sleep(3)
    r.exec("probed", "touch", READY_FILE)
    r.pod_ready("probed")
    r.delete("pod/probed")
    r.gone("pods", "probed")


def init_containers(r: Replay) -> None:
    r.apply(
        pod(
            "inits",
            f"""
terminationGracePeriodSeconds: 1
initContainers:
- {{name: one, {IMG}, command: [sh, -c, 'sleep 2']}}
- {{name: two, {IMG}, command: [sh, -c, 'sleep 2']}}
containers:
- {{name: main, {IMG}, command: [sleep, '3600']}}""",
        )
    )
    r.pod_ready("inits")
    r.apply(
        pod(
            "initfail",
            f"""
terminationGracePeriodSeconds: 1
initContainers:
- {{name: one, {IMG}, command: [sh, -c, 'test -e /d/x && exit 0; touch /d/x; exit 3'], volumeMounts: [{{name: d, mountPath: /d}}]}}
containers:
- {{name: main, {IMG}, command: [sleep, '3600']}}
volumes: [{{name: d, emptyDir: {{}}}}]""",
        )
    )
    r.pod_ready("initfail", timeout=60)
    r.apply(
        pod(
            "initnever",
            f"""
restartPolicy: Never
initContainers:
- {{name: one, {IMG}, command: [sh, -c, 'exit 4']}}
containers:
- {{name: main, {IMG}, command: [sleep, '3600']}}""",
        )
    )
    r.pod_phase("initnever", "Failed")
    r.sleep(2)
    r.delete("pod")
    r.none()


def sidecars(r: Replay) -> None:
    up = "exec: {command: [cat, /tmp/up]}, periodSeconds: 1"
    r.apply(
        pod(
            "side",
            f"""
terminationGracePeriodSeconds: 10
initContainers:
- {{name: sidecar, {IMG}, restartPolicy: Always, command: [sh, -c, 'trap "exit 0" TERM; sleep 2; touch /tmp/up; sleep 3600 & wait'], startupProbe: {{{up}}}, readinessProbe: {{{up}}}}}
- {{name: plain, {IMG}, command: [sh, -c, 'sleep 1']}}
containers:
- {{name: main, {IMG}, command: [sh, -c, 'trap "sleep 2; exit 0" TERM; sleep 3600 & wait']}}""",
        )
    )
    r.pod_ready("side")
    r.sleep(1)
    r.delete("pod/side")
    r.gone("pods", "side")
    r.apply(
        pod(
            "batch",
            f"""
restartPolicy: Never
terminationGracePeriodSeconds: 5
initContainers:
- {{name: sidecar, {IMG}, restartPolicy: Always, {QUIT}}}
containers:
- {{name: main, {IMG}, command: [sh, -c, 'sleep 2']}}""",
        )
    )
    r.pod_phase("batch", "Succeeded", "Failed")
    r.sleep(1)
    r.apply(
        pod(
            "sidecrash",
            f"""
terminationGracePeriodSeconds: 1
initContainers:
- {{name: sidecar, {IMG}, restartPolicy: Always, command: [sh, -c, 'sleep 4; exit 7']}}
containers:
- {{name: main, {IMG}, command: [sleep, '3600']}}""",
        )
    )
    r.pod_ready("sidecrash")
    r.sleep(22)
    r.delete("pod")
    r.none()


def deletion(r: Replay) -> None:
    sleeps = f"{IMG}, command: [sleep, '3600']"
    manifests = [one("ignores", sleeps, 8), one("quits", f"{IMG}, {QUIT}", 30)]
    manifests += [one(name, sleeps, 30) for name in ("short", "forced", "twice")]
    hold = pod(
        "final",
        f"terminationGracePeriodSeconds: 1\ncontainers:\n- {{name: main, {sleeps}}}",
        ", finalizers: [example.com/hold]",
    )
    r.apply("---\n".join([*manifests, hold]))
    r.pod_ready("ignores", "quits", "short", "forced", "twice", "final")
    r.sleep(1)
    for name in ("ignores", "quits"):
        r.delete(f"pod/{name}")
        r.gone("pods", name)
    r.delete("pod/short", grace=1)
    r.gone("pods", "short")
    r.delete("pod/forced", grace=0)
    r.sleep(2)
    r.delete("pod/twice", grace=20)
    r.sleep(1)
    r.delete("pod/twice", grace=3)
    r.gone("pods", "twice", timeout=40)
    r.delete("pod/final")
    r.sleep(4.2)
    r.patch("pod/final", {"metadata": {"finalizers": None}})
    r.gone("pods", "final")
    r.apply(pod("pending", f"nodeSelector: {{none: such}}\ncontainers:\n- {{name: main, {IMG}}}"))
    r.sleep(1.5)
    r.delete("pod/pending")
    r.gone("pods", "pending")


def hooks(r: Replay) -> None:
    rows = [
        ("exec3", 10, "preStop: {exec: {command: [sleep, '3']}}"),
        ("sleep3", 10, "preStop: {sleep: {seconds: 3}}"),
        ("toolong", 4, "preStop: {exec: {command: [sleep, '60']}}"),
        ("fails", 10, "preStop: {exec: {command: [sh, -c, 'echo no; exit 9']}}"),
        ("postok", 2, "postStart: {exec: {command: [sleep, '2']}}"),
        ("postfail", 2, "postStart: {exec: {command: [sh, -c, 'echo bad; exit 5']}}"),
    ]
    r.apply("---\n".join(one(n, f"{IMG}, {QUIT}, lifecycle: {{{hook}}}", grace) for n, grace, hook in rows))
    r.pod_ready("exec3", "sleep3", "toolong", "fails", "postok")
    for name in ("exec3", "sleep3", "toolong", "fails"):
        r.delete(f"pod/{name}")
        r.gone("pods", name)
    r.sleep(6.2)
    r.delete("pod")
    r.none()


def restart_policies(r: Replay) -> None:
    rows = [("never0", "Never", 0), ("never1", "Never", 1), ("onfail0", "OnFailure", 0), ("onfail1", "OnFailure", 1)]
    manifests = [
        one(n, f"{IMG}, command: [sh, -c, 'sleep 1; exit {c}']", spec=f"restartPolicy: {policy}\n")
        for n, policy, c in rows
    ]
    fast, slow = f"{IMG}, command: [sh, -c, 'sleep 1; exit 1']", f"{IMG}, command: [sh, -c, 'sleep 6; exit 0']"
    manifests += [
        pod(
            "two",
            f"restartPolicy: Never\nterminationGracePeriodSeconds: 1\ncontainers:\n- {{name: fast, {fast}}}\n- {{name: slow, {slow}}}",
        ),
        one("deadline", f"{IMG}, command: [sleep, '3600']", spec="activeDeadlineSeconds: 5\n"),
        one("always0", f"{IMG}, command: [sh, -c, 'sleep 1; exit 0']"),
    ]
    r.apply("---\n".join(manifests))
    r.sleep(30)
    r.delete("pod/never0")
    r.delete("pod")
    r.none()


def crash_loops(r: Replay) -> None:
    r.apply(one("crash", f"{IMG}, command: [sh, -c, 'exit 1']"))
    probe = "readinessProbe: {exec: {command: [cat, /nope]}, periodSeconds: 2}"
    r.apply(one("crashprobed", f"{IMG}, command: [sh, -c, 'sleep 2; exit 1'], {probe}"))
    good, bad = f"{IMG}, command: [sleep, '9999']", f"{IMG}, command: [sh, -c, 'sleep 1; exit 2']"
    r.apply(
        pod("mixed", f"terminationGracePeriodSeconds: 1\ncontainers:\n- {{name: good, {good}}}\n- {{name: bad, {bad}}}")
    )
    r.sleep(390.8)
    r.delete("pod")
    r.none()


def image_errors(r: Replay) -> None:
    r.apply(
        "---\n".join(
            [
                one("never", "image: nosuch:1, imagePullPolicy: Never"),
                one("ifnotpresent", "image: nosuch:1, imagePullPolicy: IfNotPresent"),
                one("badname", "image: 'Bad Name:1', imagePullPolicy: IfNotPresent"),
                one("nocm", IMG + ", envFrom: [{configMapRef: {name: missing}}]"),
                one("nokey", IMG + ", env: [{name: A, valueFrom: {secretKeyRef: {name: missing, key: x}}}]"),
                one("nocommand", IMG + ", command: [/no/such/program]"),
                one("nonroot", IMG + ", securityContext: {runAsNonRoot: true}"),
                pod(
                    "novolume",
                    f"terminationGracePeriodSeconds: 1\ncontainers:\n- {{name: main, {IMG}, command: [sleep, '99'], volumeMounts: [{{name: v, mountPath: /v}}]}}\nvolumes: [{{name: v, configMap: {{name: missing}}}}]",
                ),
            ]
        )
    )
    r.sleep(100.4)
    r.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: missing}\ndata: {x: '1'}\n")
    r.sleep(40)
    r.delete("pod")
    r.none()


def failing_probes(r: Replay) -> None:
    server = """command:
  - python3
  - -c
  - |
    import http.server as h
    class H(h.BaseHTTPRequestHandler):
      def do_GET(s): s.send_response(503 if 'bad' in s.path else 200); s.end_headers(); s.wfile.write(b'body text')
      def log_message(s, *a): pass
    h.HTTPServer(('', 8080), H).serve_forever()"""

    def probed(name: str, probe: str, command: str = "command: [sleep, '3600']") -> str:
        image = IMG.replace(", ", "\n  ")
        return pod(
            name, f"terminationGracePeriodSeconds: 2\ncontainers:\n- name: main\n  {image}\n  {command}\n  {probe}"
        )

    r.apply(
        "---\n".join(
            [
                probed(
                    "liveexec",
                    "livenessProbe: {exec: {command: [sh, -c, 'echo not well; exit 3']}, periodSeconds: 2, failureThreshold: 2}",
                ),
                probed(
                    "livehttp",
                    "livenessProbe: {httpGet: {path: /bad, port: 8080}, initialDelaySeconds: 3, periodSeconds: 3, failureThreshold: 2}",
                    server,
                ),
                probed(
                    "liverefused",
                    "livenessProbe: {httpGet: {path: /, port: 9999}, periodSeconds: 5, failureThreshold: 2}",
                ),
                probed(
                    "startfail", "startupProbe: {exec: {command: [cat, /nope]}, periodSeconds: 1, failureThreshold: 3}"
                ),
                probed("readyfail", "readinessProbe: {httpGet: {path: /bad, port: 8080}, periodSeconds: 2}", server),
                probed("readytcp", "readinessProbe: {tcpSocket: {port: 5999}, periodSeconds: 3}"),
                probed(
                    "timeout", "readinessProbe: {exec: {command: [sleep, '5']}, periodSeconds: 4, timeoutSeconds: 1}"
                ),
                probed(
                    "httptimeout",
                    "readinessProbe: {httpGet: {path: /, port: 81, host: 192.0.2.1}, periodSeconds: 4, timeoutSeconds: 1}",
                ),
            ]
        )
    )
    r.sleep(43.7)
    r.delete("pod")
    r.none()


def out_of_memory(r: Replay) -> None:
    limits = "resources: {limits: {memory: 20Mi}}"
    grows = f"{IMG}, {limits}, command: [python3, -c, 'import time; time.sleep(2); x = bytearray(100_000_000); time.sleep(60)']"
    r.apply(one("oom", grows))
    r.apply(one("oomnever", grows, spec="restartPolicy: Never\n"))
    child = 'sleep 2; python3 -c "x=bytearray(100_000_000)"; echo child $?; sleep 60'
    r.apply(one("oomchild", f"{IMG}, {limits}, command: [sh, -c, '{child}']"))
    r.sleep(25.6)
    r.delete("pod")
    r.none()


SCENARIOS = {
    "a1-plain-pod": plain_pod,
    "a2-probes": probes,
    "a3-init-containers": init_containers,
    "a4-sidecar": sidecars,
    "a5-delete-grace": deletion,
    "a6-lifecycle-hooks": hooks,
    "a7-restart-policy": restart_policies,
    "b1-crashloop": crash_loops,
    "b2-image-errors": image_errors,
    "b3-probe-failures": failing_probes,
    "b4-oom": out_of_memory,
}
