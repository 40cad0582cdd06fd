"""Time-stamping authorities of the tests' own: certificates, tokens by `openssl ts`, and forgeries.

What an authority does is done by the `openssl` command, which is also the second opinion on a
token. What none would do is put together here, signed with a real key.
"""

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import new as digest_of
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.asn1 import TLV, GeneralizedTime, Null, SetOf
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audit import cms

Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Extensions: TypeAlias = Sequence[tuple[x509.ExtensionType, bool]]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")
DIGESTS = {
    "sha1": ObjectIdentifier("1.3.14.3.2.26"),
    "md5": ObjectIdentifier("1.2.840.113549.2.5"),
    "sha256": SHA256,
    "sha384": ObjectIdentifier("2.16.840.1.101.3.4.2.2"),
    "sha512": ObjectIdentifier("2.16.840.1.101.3.4.2.3"),
}
STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
SIGNER: Extensions = [(x509.BasicConstraints(ca=False, path_length=None), True), (STAMPING, True)]


def authority_of(path_length: int | None = None) -> Extensions:
    return [(x509.BasicConstraints(ca=True, path_length=path_length), True)]


@dataclass(frozen=True)
class Holder:
    """A key with its certificate."""

    key: Key
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


@cache
def key(kind: str, number: int = 0) -> Key:
    """The same key each time; another ``number``, another key."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65_537, int(kind.removeprefix("rsa")))
    curves: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}
    curves |= {"p521": ec.SECP521R1(), "p224": ec.SECP224R1()}
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def name(common: str) -> x509.Name:
    country = x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")
    return x509.Name([country, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certify(
    common: str,
    own: Key,
    issuer: Holder | None = None,
    extensions: Extensions = SIGNER,
    *,
    since: datetime = datetime(2000, 1, 1, tzinfo=UTC),
    until: datetime = datetime(2099, 1, 1, tzinfo=UTC),
    serial: int = 4711,
) -> Holder:
    """A certificate by ``issuer``, or by its own key."""
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject if issuer else name(common),
        subject_name=name(common),
        public_key=own.public_key(),
        serial_number=serial,
        not_valid_before=since,
        not_valid_after=until,
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    by = issuer.key if issuer else own
    digest = None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Holder(own, builder.sign(by, digest))


_CONFIGURATION = """
[tsa]
default_tsa = this
[this]
serial = {directory}/serial
crypto_device = builtin
signer_digest = {signer_digest}
default_policy = 1.3.6.1.4.1.99999.1
digests = sha1, sha256, sha512
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
clock_precision_digits = 3
ess_cert_id_chain = no
ess_cert_id_alg = {certificate_digest}
"""


@dataclass(frozen=True)
class Openssl:
    """An authority that the command `openssl ts` is."""

    directory: Path
    signer: Holder
    chain: Sequence[Holder] = ()
    signer_digest: str = "sha256"
    certificate_digest: str = "sha256"

    def __post_init__(self) -> None:
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = self.signer.key.private_bytes(serialization.Encoding.PEM, *form)
        (self.directory / "key.pem").write_bytes(pem)
        (self.directory / "signer.pem").write_bytes(self.signer.pem)
        (self.directory / "chain.pem").write_bytes(b"".join(one.pem for one in self.chain))
        (self.directory / "serial").write_text("0A\n")
        text = _CONFIGURATION.format(**{**vars(self), "directory": self.directory})
        (self.directory / "ts.cnf").write_text(text)

    def reply(self, request: bytes) -> bytes:
        """The TimeStampResp."""
        (self.directory / "query").write_bytes(request)
        chain = ["-chain", "chain.pem"] if self.chain else []
        files = ["-queryfile", "query", "-signer", "signer.pem", "-inkey", "key.pem"]
        _openssl(self.directory, "-reply", "-config", "ts.cnf", *files, *chain, "-out", "reply")
        return (self.directory / "reply").read_bytes()

    def query(self, data: bytes, digest: str) -> bytes:
        """A request as the command makes it."""
        (self.directory / "data").write_bytes(data)
        _openssl(self.directory, "-query", "-data", "data", f"-{digest}", "-cert", "-out", "asked")
        return (self.directory / "asked").read_bytes()


def openssl_accepts(directory: Path, token: bytes, data: bytes, root: Holder) -> bool:
    """The second opinion, as of now: the command knows no other time for time-stamps."""
    for file, content in (("token", token), ("data", data), ("root.pem", root.pem)):
        (directory / file).write_bytes(content)
    files = ["-token_in", "-in", "token", "-data", "data", "-CAfile", "root.pem"]
    try:
        _openssl(directory, "-verify", *files)
    except subprocess.CalledProcessError:
        return False
    return True


def _openssl(directory: Path, *arguments: str) -> None:
    command = ["openssl", "ts", *arguments]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=60)


def tlv(value: object) -> TLV:
    return cms.read(TLV, cms.write(value))


def algorithm(oid: ObjectIdentifier) -> cms.Algorithm:
    return cms.Algorithm(oid=oid, parameters=None)


def tst_info(data: bytes, *, digest: str = "sha256", nonce: int | None = 7) -> cms.TSTInfo:
    """What a token says; change it before it is signed."""
    return cms.TSTInfo(
        version=1,
        policy=ObjectIdentifier("1.3.6.1.4.1.99999.1"),
        imprint=cms.MessageImprint(
            algorithm=algorithm(DIGESTS[digest]), digest=digest_of(digest, data).digest()
        ),
        serial=99,
        time=GeneralizedTime(NOON),
        accuracy=None,
        ordering=None,
        nonce=nonce,
        tsa=None,
        extensions=None,
    )


Values: TypeAlias = dict[ObjectIdentifier, list[object]]


@dataclass(frozen=True)
class Forgery:
    """A token part by part, with a real signature over whatever the parts are."""

    info: bytes
    signer: Holder
    others: Sequence[Holder] = ()
    attributes: Values = field(default_factory=dict)
    digest: str = "sha256"
    signature_algorithm: cms.Algorithm | None = None
    signers: int = 1
    sid: cms.IssuerAndSerialNumber | bytes | None = None
    version: int | None = None

    def with_attributes(self, changed: Values) -> "Forgery":
        """An empty list leaves the attribute out."""
        return replace(self, attributes={**self.attributes, **changed})

    def token(self) -> bytes:
        signer = self._signer_info()
        signed = cms.SignedData(
            version=3,
            digest_algorithms=SetOf([signer.digest_algorithm]),
            encapsulated=cms.EncapsulatedContent(type=cms.TST_INFO, content=self.info),
            certificates=[one.certificate for one in (self.signer, *self.others)],
            signers=SetOf([signer] * self.signers),
        )
        return cms.write(cms.ContentInfo(type=cms.SIGNED_DATA, content=signed))

    def _signer_info(self) -> cms.SignerInfo:
        certificate = self.signer.certificate
        named = cms.IssuerAndSerialNumber(
            issuer=certificate.issuer, serial=certificate.serial_number
        )
        sid = self.sid if self.sid is not None else named
        signed = SetOf(
            [attribute for attribute in self._attributes() if attribute.values.as_list()]
        )
        return cms.SignerInfo(
            version=self.version or (3 if isinstance(sid, bytes) else 1),
            sid=sid,
            digest_algorithm=algorithm(DIGESTS[self.digest]),
            signed=signed,
            signature_algorithm=self.signature_algorithm or self._named_algorithm(),
            signature=self._sign(cms.write(signed)),
        )

    def _attributes(self) -> list[cms.Attribute]:
        named = cms.EssCertIDv2(
            algorithm=None, digest=digest_of("sha256", self.signer.der).digest(), issuer_serial=None
        )
        values: Values = {
            cms.CONTENT_TYPE: [cms.TST_INFO],
            cms.MESSAGE_DIGEST: [digest_of(self.digest, self.info).digest()],
            cms.SIGNING_CERTIFICATE_V2: [
                cms.SigningCertificateV2(certificates=[named], policies=None)
            ],
            **self.attributes,
        }
        return [
            cms.Attribute(type=kind, values=SetOf([tlv(value) for value in found]))
            for kind, found in values.items()
        ]

    def _named_algorithm(self) -> cms.Algorithm:
        last = {"sha256": 2, "sha384": 3, "sha512": 4}.get(self.digest, 2)
        match self.signer.key:
            case rsa.RSAPrivateKey():
                return cms.Algorithm(
                    oid=ObjectIdentifier("1.2.840.113549.1.1.1"), parameters=Null()
                )
            case ec.EllipticCurvePrivateKey():
                return algorithm(ObjectIdentifier(f"1.2.840.10045.4.3.{last}"))
        return algorithm(ObjectIdentifier("1.3.101.112"))

    def _sign(self, message: bytes) -> bytes:
        strong = {"sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
        digest: hashes.HashAlgorithm = strong.get(self.digest, hashes.SHA256())
        match self.signer.key:
            case rsa.RSAPrivateKey() as own:
                return own.sign(message, padding.PKCS1v15(), digest)
            case ec.EllipticCurvePrivateKey() as own:
                return own.sign(message, ec.ECDSA(digest))
            case own:
                return own.sign(message)


@dataclass(frozen=True)
class Answer:
    """What a server sends; ``parts`` of the body with ``pause`` seconds before each."""

    parts: Sequence[bytes]
    status: int = 200
    headers: Sequence[tuple[str, str]] = (("content-type", "application/timestamp-reply"),)
    pause: float = 0.0


@contextmanager
def served(answer: Callable[[bytes, BaseHTTPRequestHandler], Answer]) -> Iterator[str]:
    """The address of a server on loopback that answers each POST so."""
    ending = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            said = answer(body, self)
            self.send_response(said.status)
            for header in said.headers:
                self.send_header(*header)
            self.end_headers()
            for part in said.parts:
                if ending.wait(said.pause):
                    return
                try:
                    self.wfile.write(part)
                except OSError:  # the client has heard enough
                    return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        ending.set()
        server.shutdown()
        thread.join()
        server.server_close()
