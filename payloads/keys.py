"""A key for Temporal's payloads: sealing and opening bytes with AES-256-GCM. Pure.

A key is a secret of 32 random bytes. What encrypts, and the id by which a payload names its key,
are both derived from it (HKDF-SHA256), so the id tells nothing of the secret. Sealed bytes are the
nonce (12 bytes), the ciphertext, and the tag (16 bytes); the key's id is bound as associated data,
and a payload under another key's name does not open.

Nonces are random: a key may seal 2^32 payloads (NIST SP 800-38D, 8.3) before it must be replaced.
"""

from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES
_ID_BYTES = 8
_ENCRYPT = b"dondoc payload encryption v1"
_IDENTIFY = b"dondoc payload key id v1"


class Unreadable(ValueError):
    """Sealed bytes that do not open: altered, cut off, or made with another key."""

    def __init__(self, key: str) -> None:
        """``key`` is the id that the payload names, or what stands in its place."""
        super().__init__(f"a payload that names the key {key[:64]!r} does not open with it")
        self.key = key


@dataclass(frozen=True)
class PayloadKey:
    """One key. Its `repr` shows nothing of the secret."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError for a secret of another length."""
        if len(self.secret) != SECRET_BYTES:
            raise ValueError(f"a payload key has {SECRET_BYTES} bytes, not {len(self.secret)}")

    @cached_property
    def id(self) -> str:
        """16 hex digits."""
        return _derive(self.secret, _IDENTIFY, _ID_BYTES).hex()

    def seal(self, plain: bytes, nonce: bytes) -> bytes:
        """``nonce``: 12 bytes that this key was never used with."""
        return nonce + self._cipher.encrypt(nonce, plain, self._bound)

    def open(self, sealed: bytes) -> bytes:
        """Raises Unreadable."""
        if len(sealed) < OVERHEAD_BYTES:
            raise Unreadable(self.id)
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._bound)
        except InvalidTag as error:
            raise Unreadable(self.id) from error

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(_derive(self.secret, _ENCRYPT, 32))

    @cached_property
    def _bound(self) -> bytes:
        return b"dondoc payload v1\0" + self.id.encode()


def _derive(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, None, purpose).derive(secret)
