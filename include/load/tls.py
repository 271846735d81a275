"""TLS in memory, for a socket that knows nothing of it."""

import ssl

READ_SIZE = 64 * 1024


class TlsLayer:
    """TLS between a socket and its user, in memory: what comes in from one side is taken out at the other."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was received that nobody has taken out."""
        return self._incoming.pending == 0

    def is_open(self) -> bool:
        """Take the handshake as far as it goes now; whether it is done.

        Raises:
            ssl.SSLError: the server's certificate is not good, or it speaks no TLS.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypted(self, data: bytes) -> bytes:
        """Return what to send for ``data``."""
        self._tls.write(data)
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        """Return what TLS itself wants to send."""
        return self._outgoing.read()

    def take_in(self, data: bytes) -> None:
        """Take what the socket received, nothing when the server has closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def decrypted(self) -> bytes | None:
        """Return what was received, nothing at the end, ``None`` when more has to come in first."""
        try:
            return self._tls.read(READ_SIZE)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
