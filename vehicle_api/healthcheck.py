"""python -m vehicle_api.healthcheck: exit 0 if the service in this container is ready.

For Compose; Kubernetes asks by itself.
"""

from __future__ import annotations

import http.client
import os
import sys


def main() -> int:
    """Ask `/readyz` on this host once; 0 if the answer is 200."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("LISTEN_PORT") or "8080"), timeout=2)
    try:
        connection.request("GET", "/readyz")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
