"""A certificate of the tests' own, and a request that trusts no other."""

from __future__ import annotations

import datetime
import http.client
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(host: str) -> tuple[bytes, bytes]:
    """Certificate and key in PEM, for *host* and a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


class _Pinned(http.client.HTTPSConnection):
    """Connects to an address, asks for a host, and checks the host's certificate."""

    def __init__(self, address: str, host: str, context: ssl.SSLContext) -> None:
        super().__init__(address, 443, timeout=10, context=context)
        self._wanted = host
        self._pinned = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._pinned.wrap_socket(self.sock, server_hostname=self._wanted)


def https_get(address: str, host: str, certificate: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers of `GET https://host/` at *address*; fails unless it shows *certificate*."""
    # A wildcard directly under a top-level name is refused by OpenSSL's own matching, so the name is matched by SNI only.
    context = ssl.create_default_context(cadata=certificate.decode())
    context.check_hostname = False
    connection = _Pinned(address, host, context)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.headers)
    finally:
        connection.close()
