"""What the tests run as an image: a small HTTP server that says what it sees. `tiny_server.py ADDRESS PORT [MARK]`.

SIGTERM ends it with exit code 0, or is ignored where IGNORE_SIGTERM is set.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import sys
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = 200
        if self.path == "/healthz":
            self.server.probe_headers = dict(self.headers)
            status = 500 if Path("/tmp/sick").exists() else 200
        seen = {"host": socket.gethostname(), "pid": os.getpid(), "uid": os.getuid(), "env": dict(os.environ)}
        seen["probe"] = self.server.probe_headers
        body = json.dumps(seen).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments):
        self.probe_headers = {}  # of the last probe
        super().__init__(*arguments)

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)


def end(*_):
    print("told to end", flush=True)
    os._exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("IGNORE_SIGTERM") else end)
server = Server((sys.argv[1], int(sys.argv[2])), Handler)
print("listening", flush=True)
server.serve_forever()
