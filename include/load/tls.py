"""TLS in memory, for a plain socket."""

import ssl

READ_SIZE = 64 * 1024


class TlsLayer:
    """TLS between a socket and its user: it encrypts and decrypts in memory and does no I/O."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    @property
    def is_idle(self) -> bool:
        """Whether no received data waits to be decrypted."""
        return self._incoming.pending == 0

    def is_open(self) -> bool:
        """Continue the handshake as far as possible; return whether it is complete.

        Raises:
            ssl.SSLError: the server's certificate was rejected, or the server does not speak TLS.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypted(self, data: bytes) -> bytes:
        """Return the encrypted bytes of ``data``."""
        self._tls.write(data)
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        """Return the bytes that TLS itself needs to send."""
        return self._outgoing.read()

    def take_in(self, data: bytes) -> None:
        """Take bytes that the socket received, empty when the server has closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def decrypted(self) -> bytes | None:
        """Return decrypted bytes: empty at the end, ``None`` when more input is needed."""
        try:
            return self._tls.read(READ_SIZE)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
