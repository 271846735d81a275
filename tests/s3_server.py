"""An S3-compatible server: ``python -m tests.s3_server`` prints its port and serves until it is killed.

It is moto's. A real server decides on a condition and writes in one step; moto does not, so it does one request at a
time here.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class OneAtATime:
    """A WSGI application that answers one request after another, and counts them."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.requests: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request; ``GET /_requests`` returns those there were since it was asked last."""
        if environ["PATH_INFO"] == "/_requests":
            told, self.requests = "\n".join(self.requests), []
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [told.encode()]
        with self._lock:
            self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}")
            return list(self._application(environ, start_response))


class Handler(WSGIRequestHandler):
    """Keeps connections, as S3 does."""

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
