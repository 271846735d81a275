"""An S3-compatible server: ``python -m tests.s3_server`` prints its port and serves until it is killed.

It is based on moto. A real server checks a condition and writes in one step; moto does not, so requests are handled one
at a time here.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class OneAtATime:
    """A WSGI application that handles one request at a time, and logs them."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.requests: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Handle a request; ``GET /_requests`` returns the requests since its last call."""
        if environ["PATH_INFO"] == "/_requests":
            lines, self.requests = "\n".join(self.requests), []
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [lines.encode()]
        with self._lock:
            self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}")
            return list(self._application(environ, start_response))


class Handler(WSGIRequestHandler):
    """Keeps connections alive, like S3."""

    protocol_version = "HTTP/1.1"


def main() -> None:
    """Serve until killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
