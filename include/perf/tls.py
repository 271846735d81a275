"""How TLS is spoken to a service: the same for the look at it before a load and for the load itself."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit


def tls_context(base_url: str, *, verify: bool, ca_file: Path | None = None) -> ssl.SSLContext | None:
    """Return how TLS is spoken to a base URL; ``None`` for plain HTTP.

    Args:
        ca_file: certificates that sign the server's, instead of the system's.
    """
    if urlsplit(base_url).scheme != "https":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=str(ca_file))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
