"""Temporal's hook where every payload passes: encrypted on its way out, opened on its way in.

An encrypted payload says ``binary/encrypted`` and the id of its key, nothing else; what it was, its
own metadata too, is sealed. How long it was still shows.

What happens to a payload that does not open:

* It was never encrypted (Temporal's command line, a history of before): it passes as it is. It
  needs no more trust than that: what commands and entries say is believed by their signatures.
* Its key is missing here: `KeyMissing`. A workflow task fails then, and Temporal tries it again,
  until the key is here.
* It names a key that is here, and is altered or forged: it passes as it is, and whoever wants its
  value gets `Unreadable` (`payloads.converter`). Were it raised here, anybody could stop a workflow
  for ever by one such signal; so that one signal is dropped, at each replay again.
"""

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from payloads.keys import NONCE_BYTES, PayloadKey, Unreadable
from payloads.ring import KeyMissing, Ring

ENCODING = "encoding"
ENCRYPTED = b"binary/encrypted"
KEY_ID = "encryption-key-id"


class EncryptingCodec(PayloadCodec):
    """Encrypts with the newest key of a ring, opens with any."""

    def __init__(self, ring: Ring, chance: Callable[[int], bytes]) -> None:
        """``chance`` gives so many random bytes, fit for cryptography."""
        self._ring = ring
        self._chance = chance

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Whatever a payload is, also when it looks encrypted: decoding gives back the same."""
        key = self._ring.newest()
        return [self._seal(payload, key) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises KeyMissing."""
        return [self._passed(payload) for payload in payloads]

    async def decode_known(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The same for those who look only: what lacks its key passes as it is."""
        return [self._shown(payload) for payload in payloads]

    def _shown(self, payload: Payload) -> Payload:
        try:
            return self._passed(payload)
        except KeyMissing:
            return payload

    def _passed(self, payload: Payload) -> Payload:
        try:
            return self._open(payload)
        except Unreadable:
            return payload

    def _seal(self, payload: Payload, key: PayloadKey) -> Payload:
        sealed = key.seal(payload.SerializeToString(), self._chance(NONCE_BYTES))
        return Payload(metadata={ENCODING: ENCRYPTED, KEY_ID: key.id.encode()}, data=sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get(ENCODING) != ENCRYPTED:
            return payload
        name = named_key(payload)
        if not name:
            raise Unreadable(name)
        try:
            return Payload.FromString(self._ring.find(name).open(payload.data))
        except DecodeError as error:
            raise Unreadable(name) from error


def named_key(payload: Payload) -> str:
    """The id of the key that an encrypted payload names; empty when it names none."""
    return payload.metadata.get(KEY_ID, b"").decode("ascii", "replace")
