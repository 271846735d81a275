"""Certificates for TLS servers on loopback."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority; clients that trust its ``bundle`` accept its certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Authority of a test")
        own = _builder(self._name, self._name, self._key.public_key(), valid_days=1)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def client(self) -> Path:
        """Return a PEM file with the certificate of a client and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named("client"), self._name, key.public_key(), valid_days=1)
        path = self._folder / "client.pem"
        path.write_bytes(_pem_of(key, builder.sign(self._key, hashes.SHA256())))
        return path

    def server(self, address: str = "127.0.0.1", *, valid_days: int = 1) -> ssl.SSLContext:
        """Return the TLS context of a server; with negative ``valid_days``, its certificate has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _context_of(address, self._folder, key, issuer=self._name, signed_with=self._key, valid_days=valid_days)


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return the TLS context of a server at 127.0.0.1 with a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _context_of("127.0.0.1", folder, key, issuer=_named("127.0.0.1"), signed_with=key, valid_days=1)


def _context_of(
    address: str,
    folder: Path,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: x509.Name,
    signed_with: ec.EllipticCurvePrivateKey,
    valid_days: int,
) -> ssl.SSLContext:
    where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    builder = _builder(_named(address), issuer, key.public_key(), valid_days=valid_days)
    certificate = builder.add_extension(where, critical=False).sign(signed_with, hashes.SHA256())
    pem = folder / "server.pem"
    pem.write_bytes(_pem_of(key, certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def with_passphrase(pem: bytes) -> bytes:
    """Return a PEM file with the same certificate, and its key encrypted."""
    key = serialization.load_pem_private_key(pem, password=None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"a passphrase"),
    )
    return encrypted + pem[pem.index(b"-----BEGIN CERTIFICATE") :]


def _pem_of(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, valid_days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=valid_days))
    )
