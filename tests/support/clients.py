"""Clients of Temporal for the tests: they encrypt, with a key that all tests' processes know.

What Temporal stores of a test is read with `TEST_CONVERTER`; a client that must see it as it is
stored is Temporal's own, `Client.connect`.
"""

import secrets
import time
from hashlib import sha256
from typing import Any

from temporalio.client import Client

from payloads.converter import encrypting_converter
from payloads.keys import PayloadKey
from payloads.ring import Ring, fixed


def payload_key(name: str) -> PayloadKey:
    """Always the same for a name."""
    return PayloadKey(sha256(f"payload key {name}".encode()).digest())


TEST_CONVERTER = encrypting_converter(
    Ring(fixed(payload_key("of all tests")), time.monotonic), secrets.token_bytes
)


async def connect(address: str, **options: Any) -> Client:
    return await Client.connect(address, data_converter=TEST_CONVERTER, **options)
