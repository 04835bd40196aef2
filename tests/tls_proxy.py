"""A TLS server in front of Temporal, which notes who connects: the certificate, and the API key of each call."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hpack import Decoder

from sandbox.stack.ports import LOOPBACK

SERVER_NAME = "temporal.example"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER, _HEADERS, _END_HEADERS, _PADDED, _PRIORITY = 9, 1, 0x4, 0x8, 0x20


class Authority:
    """A certificate authority. Writes certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(self._sign(self._name, self._key, is_authority=True))

    def issue(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate for this host name and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private_key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate.write_bytes(self._sign(subject, key))
        private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, private_key

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False) -> bytes:
        now = datetime.now(UTC)
        name = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(str(name))]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


@dataclass
class TlsProxy:
    port: int
    clients: set[str] = field(default_factory=set)
    """The names in the certificates of those who connected."""
    authorizations: set[str | None] = field(default_factory=set)
    """The `authorization` of the calls."""


@asynccontextmanager
async def tls_proxy(authority: Authority, target: str, *, asks_for_certificates: bool) -> AsyncIterator[TlsProxy]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.load_cert_chain(*authority.issue(SERVER_NAME))
    context.verify_mode = ssl.CERT_REQUIRED if asks_for_certificates else ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    proxy, connections = TlsProxy(port=0), dict[asyncio.StreamWriter, asyncio.Task[None] | None]()

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = (writer.get_extra_info("peercert") or {}).get("subject", ())
        proxy.clients |= {value for part in subject for name, value in part if name == "commonName"}
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        connections[writer] = asyncio.current_task()
        to_server = _pipe(reader, up_writer, _Calls(proxy.authorizations).feed)
        await asyncio.gather(to_server, _pipe(up_reader, writer, lambda _: None), return_exceptions=True)

    server = await asyncio.start_server(on_connect, LOOPBACK, 0, ssl=context)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for connection in connections:
            connection.close()
        await asyncio.gather(*filter(None, connections.values()))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]) -> None:
    try:
        while data := await reader.read(65_536):
            note(data)
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class _Calls:
    """Reads the headers of the calls on one HTTP/2 connection (RFC 9113, 4.1 and 6.2)."""

    def __init__(self, authorizations: set[str | None]) -> None:
        self._authorizations = authorizations
        self._decoder = Decoder()
        self._buffer = b""
        self._is_open = False

    def feed(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            if len(self._buffer) < len(_PREFACE):
                return
            self._buffer = self._buffer.removeprefix(_PREFACE)
            self._is_open = True
        while len(self._buffer) >= _FRAME_HEADER:
            end = _FRAME_HEADER + int.from_bytes(self._buffer[:3])
            if len(self._buffer) < end:
                return
            kind, flags, payload = self._buffer[3], self._buffer[4], self._buffer[_FRAME_HEADER:end]
            self._buffer = self._buffer[end:]
            if kind == _HEADERS:
                # The client neither pads nor splits them.
                assert flags & _END_HEADERS
                assert not flags & (_PADDED | _PRIORITY)
                headers = dict(self._decoder.decode(payload, raw=True))
                authorization = headers.get(b"authorization")
                self._authorizations.add(authorization.decode() if authorization else None)
