"""nginx as a target that any generator can be sent to: with and without TLS, with short and with long answers.

It keeps no log of the truth, so it serves for what a request costs, not for whether a latency is right.
"""

import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LONG_BYTES = 1_000_000
PROGRAM = "nginx"
HOST = "127.0.0.1"
START_S = 10.0

CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_timeout 600; keepalive_requests 1000000000; ssl_session_cache off; ssl_session_tickets off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen {host}:{plain}; listen {host}:{tls} ssl;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    location / {{ return 200 '{{"bid":1.08502,"ask":1.08504}}'; }}
    location /long {{ root {folder}; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServer:
    """A running nginx; ``plain_url`` and ``tls_url`` lead to the same answers, and ``ca_file`` verifies it."""

    pid: int
    plain_url: str
    tls_url: str
    ca_file: Path


def is_installed() -> bool:
    """Whether nginx is in PATH."""
    return shutil.which(PROGRAM) is not None


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Run nginx until the block ends."""
    with tempfile.TemporaryDirectory(prefix="bellwether-nginx-") as name:
        folder = Path(name)
        (folder / "long").write_bytes(b"x" * LONG_BYTES)
        (folder / "server.pem").write_bytes(_certificate())
        plain, tls = _free_ports(2)
        text = CONFIGURATION.format(folder=folder, host=HOST, plain=plain, tls=tls)
        (folder / "nginx.conf").write_text(text, encoding="ascii")
        process = subprocess.Popen([PROGRAM, "-p", name, "-c", "nginx.conf", "-e", "error.log"])
        with suppress(PermissionError):  # like the other target, it must not be late itself
            os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(1))
        try:
            _await(plain)
            yield WebServer(
                pid=process.pid,
                plain_url=f"http://{HOST}:{plain}",
                tls_url=f"https://{HOST}:{tls}",
                ca_file=folder / "server.pem",
            )
        finally:
            process.terminate()
            process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        listeners = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


def _await(port: int) -> None:
    """Wait until a port is open."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((HOST, port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _certificate() -> bytes:
    """Return a self-signed certificate of `HOST` with its key, on the curve that most servers use."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, form, plain) + certificate.public_bytes(pem)
