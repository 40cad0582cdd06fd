"""The data converter of every client: payloads encrypted, and what failures say with them.

The message and the stack trace of a failure become a payload like any other. One failure is told in
clear: that a key is missing, and which. Whoever has to bring it can't read it otherwise.
"""

from collections.abc import Callable

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadConverter,
)

from payloads.codec import ENCRYPTED, EncryptingCodec, named_key
from payloads.keys import Unreadable
from payloads.ring import KeyMissing, Ring


class _Refusing(EncodingPayloadConverter):
    """For what the codec could not open."""

    @property
    def encoding(self) -> str:
        return ENCRYPTED.decode()

    def to_payload(self, value: object) -> Payload | None:  # noqa: ARG002 - nothing becomes one here
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> object:  # noqa: ARG002 - whatever was expected
        """Raises Unreadable, always."""
        raise Unreadable(named_key(payload))


class OpenedPayloadConverter(CompositePayloadConverter):
    """Temporal's own, and a clear word where something did not open."""

    def __init__(self) -> None:
        """Temporal makes one itself, without arguments."""
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*usual, _Refusing())


class EncodedFailureConverter(DefaultFailureConverterWithEncodedAttributes):
    """Nothing in clear but which key is missing."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, KeyMissing):
            failure.message = str(exception)


def encrypting_converter(ring: Ring, chance: Callable[[int], bytes]) -> DataConverter:
    """``chance`` gives so many random bytes, fit for cryptography."""
    return DataConverter(
        payload_converter_class=OpenedPayloadConverter,
        payload_codec=EncryptingCodec(ring, chance),
        failure_converter_class=EncodedFailureConverter,
    )
