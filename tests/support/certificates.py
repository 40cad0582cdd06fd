"""Certificates, lists of revocations and key files as authorities hand them out.

    root = Issuer.root("Root")
    branch = root.authority("Branch")
    der = branch.person(key, BEGINS, YEAR)
    crl = branch.revoking([der], at=BEGINS)

`certificate_of` is the shortest way to a certificate that needs no intermediate; whoever trusts
`TRUSTED` believes it.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audit.certificates import load_certificate
from audit.private_keys import PrivateHalf, PrivateKey

IssuerKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

FOREVER = (datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=365 * 30))
SIGNING = {"digital_signature"}
ISSUING = {"key_cert_sign", "crl_sign"}
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)


def name_of(common: str | x509.Name) -> x509.Name:
    """A name of one common name; a name stays as it is."""
    if isinstance(common, x509.Name):
        return common
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def printable(common: str) -> x509.Name:
    """The same name, by another kind of string: its bytes are others."""
    kind = _ASN1Type.PrintableString
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common, kind)])


def usage(*allowed: str) -> x509.KeyUsage:
    """A key usage with these, by the names that `cryptography` has for them."""
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in allowed for name in names})


def der_of(made: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    return made.public_bytes(serialization.Encoding.DER)


def pem_of(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


def text_of(der: bytes) -> str:
    """As the directory's arguments spell it."""
    return base64.b64encode(der).decode()


def digest_for(key: object) -> hashes.HashAlgorithm | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


@dataclass
class Issuer:
    """An authority: its certificate and key. Serial numbers are counted, so that they are known."""

    common: str
    key: IssuerKey
    der: bytes
    issued: int = 0

    @classmethod
    def root(
        cls,
        common: str,
        key: IssuerKey | None = None,
        valid: tuple[datetime, timedelta] = FOREVER,
        **more: Any,
    ) -> "Issuer":
        own = key or ec.derive_private_key(sum(common.encode()), ec.SECP256R1())
        made = cls(common, own, b"")
        made.der = made.certificate(common, own, valid, **_of_authority(more))
        return made

    def authority(
        self,
        common: str,
        key: IssuerKey | None = None,
        valid: tuple[datetime, timedelta] = FOREVER,
        **more: Any,
    ) -> "Issuer":
        """An intermediate under this one."""
        own = key or ec.derive_private_key(sum(common.encode()), ec.SECP256R1())
        return Issuer(common, own, self.certificate(common, own, valid, **_of_authority(more)))

    def person(
        self, key: PrivateKey, begins: datetime, lasts: timedelta,
        common: str | x509.Name = "Cán bộ", **more: Any,
    ) -> bytes:  # fmt: skip
        """A person's certificate, for signing unless said otherwise."""
        given = {"may": SIGNING, "ca": False, **more}
        return self.certificate(common, key.unwrapped, (begins, lasts), **given)

    def certificate(
        self,
        common: str | x509.Name,
        key: Any,
        valid: tuple[datetime, timedelta],
        *,
        may: Iterable[str] | None = None,
        purposes: Sequence[x509.ObjectIdentifier] = (),
        ca: bool | None = None,
        path_length: int | None = None,
        extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """A certificate in DER by this authority; its times in whole seconds."""
        self.issued += 1
        begins, lasts = valid
        builder = (
            x509.CertificateBuilder()
            .subject_name(name_of(common))
            .issuer_name(name_of(self.common))
            .public_key(key.public_key())
            .serial_number(self.issued)
            .not_valid_before(begins.replace(microsecond=0))
            .not_valid_after((begins + lasts).replace(microsecond=0))
        )
        # By the RFC's section 4.2.1.1 each has them; `openssl` finds its way by them.
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(above, critical=False)
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        if may is not None:
            builder = builder.add_extension(usage(*may), critical=True)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        for value, critical in extra:
            builder = builder.add_extension(value, critical=critical)
        return der_of(builder.sign(self.key, digest_for(self.key)))  # type: ignore[arg-type]

    def revoking(
        self,
        certificates: Iterable[bytes],
        at: datetime,
        *,
        lasts: timedelta = timedelta(days=7),
        number: int | None = None,
        extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
        serials: Iterable[int] = (),
        of_entries: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """A list, in DER, that names these certificates, as of ``at``."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name_of(self.common))
            .last_update(at.replace(microsecond=0))
            .next_update((at + lasts).replace(microsecond=0))
        )
        named = [x509.load_der_x509_certificate(each).serial_number for each in certificates]
        for serial in (*named, *serials):
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            for value, critical in of_entries:
                entry = entry.add_extension(value, critical=critical)
            builder = builder.add_revoked_certificate(
                entry.revocation_date(at.replace(microsecond=0)).build()
            )
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for value, critical in extra:
            builder = builder.add_extension(value, critical=critical)
        return der_of(builder.sign(self.key, digest_for(self.key)))  # type: ignore[arg-type]


def _of_authority(more: dict[str, Any]) -> dict[str, Any]:
    return {"may": ISSUING, "ca": True, **more}


AUTHORITY = Issuer.root("An authority", ec.derive_private_key(7, ec.SECP256R1()))
TRUSTED = {"authority": "test", "certificate": text_of(AUTHORITY.der)}
"""The arguments of the entry by which a log trusts it."""


def certificate_of(
    key: PrivateKey, begins: datetime, lasts: timedelta, *, name: str = "Cán bộ"
) -> bytes:
    """A certificate, in DER, of the key by `AUTHORITY`; its times in whole seconds."""
    return AUTHORITY.person(key, begins, lasts, name)


def certified(der: bytes, *chain: Issuer) -> dict[str, Any]:
    """The arguments that tell of a certificate and its intermediates."""
    return {
        "certificate": text_of(der),
        "chain": [text_of(each.der) for each in chain],
        "not_after": not_after(der),
    }


def not_after(certificate: bytes) -> str:
    """When it ends, as the log writes it."""
    return load_certificate(certificate).not_after


def clear_pem(key: PrivateHalf) -> bytes:
    """The key as `openssl` takes it, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
