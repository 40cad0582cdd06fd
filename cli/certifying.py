"""The arguments of an entry that tell of a person's key, out of the files that a person brings."""

import base64
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.session import Session
from domain.refusal import Refused

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Brought:
    """The files that a person brings; None: not that one. ``chain`` goes with ``certificate``, and
    ``key`` is a PKCS#12 file, whose key can make the proof by itself.
    """

    public: Path | None = None
    certificate: Path | None = None
    chain: Path | None = None
    key: Path | None = None
    proof: Path | None = None

    @property
    def is_one_key(self) -> bool:
        """Whether the files tell of one key, and fit each other."""
        given = [file for file in (self.public, self.certificate, self.key) if file is not None]
        return len(given) == 1 and (self.chain is None or self.certificate is not None)

    @property
    def is_provable(self) -> bool:
        return self.proof is not None or self.key is not None

    def arguments(self, session: Session, person: str, trusted: Collection[str]) -> dict[str, Any]:
        """What the entry says of the person's key. ``trusted``: the certificates, in base64, of the
        authorities that the log trusts. Raises Refused.
        """
        proof = {} if self.proof is None else {"proof": _read_proof(self.proof)}
        if self.key is not None:
            return {**_of_key_file(session, self.key, person, trusted), **proof}
        if self.certificate is not None:
            return {**_of_certificate(self.certificate, self.chain, trusted), **proof}
        assert self.public is not None  # noqa: S101 - `is_one_key`
        return {**_of_public(self.public), **proof}


def _of_public(file: Path) -> dict[str, Any]:
    from embedded.keyring import read_public  # noqa: PLC0415 - not for --help

    return {"spki": text_of(read_public(file).spki)}


def _of_certificate(file: Path, chain: Path | None, trusted: Collection[str]) -> dict[str, Any]:
    """A certificate in a file, perhaps with its intermediates behind it or in another file."""
    from embedded.certificates import read_certificates  # noqa: PLC0415 - not for --help

    first, *others = read_certificates(file)
    if chain is not None:
        others += read_certificates(chain)
    return _certified(first, others, trusted, file)


def _of_key_file(
    session: Session, file: Path, person: str, trusted: Collection[str]
) -> dict[str, Any]:
    """The certificates in a PKCS#12 file, and the proof that its private key makes."""
    from cli.signing import opened  # noqa: PLC0415 - not for --help
    from embedded.certificates import read_bag  # noqa: PLC0415 - likewise
    from embedded.keyring import read_origin  # noqa: PLC0415 - likewise
    from gateway.composing import prove_enrolment  # noqa: PLC0415 - likewise

    bag = opened(session, file, read_bag)
    proof = prove_enrolment(read_origin(session.home), person, bag.key)
    return {**_certified(bag.certificate, bag.others, trusted, file), "proof": proof}


def _read_proof(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise Refused("file_missing", path=str(path)) from error
    except ValueError as error:
        raise Refused("enrolment_not_proved", path=str(path)) from error


def loaded(certificates: Iterable[bytes], file: Path) -> "list[x509.Certificate]":
    """Certificates in DER. Raises Refused."""
    from audit.malformed import Malformed  # noqa: PLC0415 - not for --help
    from audit.paths import load  # noqa: PLC0415 - likewise

    try:
        return [load(each) for each in certificates]
    except Malformed as error:
        raise Refused(error.code, path=str(file)) from error


def ordered(
    certificate: "x509.Certificate", others: "Sequence[x509.Certificate]"
) -> "list[x509.Certificate]":
    """The intermediates among the others that lead up from the certificate, in order. Roots, which
    the log knows by itself, and strangers are left out.
    """
    from audit.paths import MAX_INTERMEDIATES, is_issued  # noqa: PLC0415 - not for --help

    found = [certificate]
    between = [each for each in others if each.subject != each.issuer]
    for _ in range(MAX_INTERMEDIATES):
        fitting = [each for each in between if each not in found and is_issued(found[-1], each)]
        found += fitting[:1]
    return found[1:]


def text_of(der: bytes) -> str:
    """As the directory's entries spell it."""
    return base64.b64encode(der).decode()


def _certified(
    certificate: bytes, others: Iterable[bytes], trusted: Collection[str], file: Path
) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    from audit.certificates import load_certificate  # noqa: PLC0415 - likewise
    from audit.malformed import Malformed  # noqa: PLC0415 - likewise

    try:
        found = load_certificate(certificate)
    except Malformed as error:
        raise Refused(error.code, path=str(file)) from error
    # The path ends below the first authority that the log trusts, wherever the file goes on to.
    between = loaded((each for each in others if text_of(each) not in trusted), file)
    path = ordered(loaded([certificate], file)[0], between)
    return {
        "spki": text_of(found.key.spki),
        "certificate": text_of(certificate),
        "chain": [text_of(each.public_bytes(Encoding.DER)) for each in path],
        "not_after": found.not_after,
    }
