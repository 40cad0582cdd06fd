"""The one place where clients of Temporal are made: none of ours speaks without encryption."""

import secrets
from typing import Any

from temporalio.client import Client
from temporalio.converter import DataConverter

from embedded import payload_keys
from embedded.home import Home
from payloads.converter import encrypting_converter


def converter(home: Home) -> DataConverter:
    """With the payload keys of this home. Raises Refused when they are not here."""
    return encrypting_converter(payload_keys.ring(home), secrets.token_bytes)


async def connect(home: Home, address: str, **options: Any) -> Client:  # noqa: ANN401 - Temporal's own settings
    """Raises RuntimeError when Temporal doesn't answer, Refused when payload keys are missing."""
    options = {**options, "target_host": address, "data_converter": converter(home)}
    return await Client.connect(**options)
