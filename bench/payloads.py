"""What encryption costs a payload: `python -m bench.payloads`.

One process, one thread, nothing else: the codec alone encodes and decodes one payload at a time, as
the worker calls it. Per size: the median of seven rounds, each of as many payloads as take about a
tenth of a second.
"""

import asyncio
import secrets
import sys
import time
from statistics import median
from time import perf_counter

from temporalio.api.common.v1 import Payload

from bench.machine import load
from payloads.codec import ENCODING, EncryptingCodec
from payloads.keys import PayloadKey
from payloads.ring import Ring, fixed

SIZES = (200, 2_400, 20_000, 200_000)
"""Bytes: an argument, an entry of the log, a snapshot with much in it, a large submission."""

_ROUNDS = 7
_SECONDS = 0.1


async def measure(codec: EncryptingCodec, size: int) -> tuple[float, float]:
    """Seconds to encode and to decode one payload."""
    plain = Payload(metadata={ENCODING: b"json/plain"}, data=secrets.token_bytes(size))
    sealed = (await codec.encode([plain]))[0]
    assert await codec.decode([sealed]) == [plain]
    begun = perf_counter()
    await codec.encode([plain])
    number = max(10, int(_SECONDS / max(perf_counter() - begun, 1e-6)))
    encoding, decoding = [], []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        for _ in range(number):
            await codec.encode([plain])
        encoding.append((perf_counter() - begun) / number)
        begun = perf_counter()
        for _ in range(number):
            await codec.decode([sealed])
        decoding.append((perf_counter() - begun) / number)
    return median(encoding), median(decoding)


async def main() -> None:
    """Print a line for each size, in µs."""
    key = PayloadKey(secrets.token_bytes(32))
    codec = EncryptingCodec(Ring(fixed(key), time.monotonic), secrets.token_bytes)
    sys.stdout.write(f"load average {load()}\n")
    for size in SIZES:
        encode, decode = await measure(codec, size)
        sys.stdout.write(
            f"{size:>8} bytes  encode {encode * 1e6:6.1f}  decode {decode * 1e6:6.1f}\n"
        )


if __name__ == "__main__":
    asyncio.run(main())
