"""Asks a real API server the requests of `facts/fields.jsonl` again and keeps its answers there.

    python tests/unit/apiserver/record_fields.py KUBECONFIG

It must be a fresh cluster, its controllers and scheduler standing still.
"""

import base64
import json
import ssl
import sys
import tempfile
import time
from http.client import HTTPSConnection
from pathlib import Path

import yaml

TYPES = {
    "": "application/json",
    "apply-patch": "application/apply-patch+yaml",
    "json-patch": "application/json-patch+json",
    "merge-patch": "application/merge-patch+json",
    "strategic-merge-patch": "application/strategic-merge-patch+json",
}
FACTS = Path(__file__).with_name("facts") / "fields.jsonl"
NAMESPACE = "rec-fields"


def connect(kubeconfig):
    """A connection as the first user of a kubeconfig."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for field in ("client-certificate-data", "client-key-data"):
            name = Path(folder) / field
            name.write_bytes(base64.b64decode(user[field]))
            names.append(str(name))
        context.load_cert_chain(*names)
    host, port = cluster["server"].removeprefix("https://").split(":")
    return HTTPSConnection(host, int(port), context=context)


def ask(connection, row):
    """Code, answer and warnings."""
    body = row.get("body")
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    connection.putrequest(row["method"], row["path"], skip_accept_encoding=True)
    connection.putheader("Accept", "application/json")
    if row.get("agent"):
        connection.putheader("User-Agent", row["agent"])
    if text is not None:
        connection.putheader("Content-Type", TYPES[row.get("type", "")])
        connection.putheader("Content-Length", str(len(text.encode())))
    connection.endheaders(None if text is None else text.encode())
    response = connection.getresponse()
    answer = json.loads(response.read())
    warnings = [value for name, value in response.getheaders() if name.lower() == "warning"]
    return response.status, answer, [text.partition(' "')[2][:-1].replace('\\"', '"') for text in warnings]


def main(kubeconfig):
    """Asks everything once."""
    connection = connect(kubeconfig)
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    ask(connection, {"method": "POST", "path": "/api/v1/namespaces", "body": {"metadata": {"name": NAMESPACE}}})
    ask(connection, {"method": "POST", "path": accounts, "body": {"metadata": {"name": "default"}}})
    lines = []
    for line in FACTS.read_text().splitlines():
        row = json.loads(line)
        row["code"], row["answer"], warnings = ask(connection, row)
        row.pop("warnings", None)
        if warnings:
            row["warnings"] = warnings
        lines.append(json.dumps(row, separators=(",", ":")))
        if row["code"] < 300 and row["method"] != "GET":
            time.sleep(1.01)  # noqa: TID251 - a real server's clock; entries are ordered by the second
    FACTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
