"""The data directory: what lies where, and who may use it at a time.

dondoc.sqlite        the log and the read model, unless DONDOC_DATABASE_URL names a PostgreSQL
temporal.sqlite      Temporal's own store; `dondoc rehydrate` does without it
origin               the name of this log
log.pub              the public key that the log was founded with: what an auditor needs (PEM)
keys/                the log's own private keys, encrypted:
  PURPOSE.pem          the log was founded with it
  PURPOSE-ID.pem       came by a rotation; ID: the first 16 hex digits of its key id
                       PURPOSE is administrator, checkpoint, checkpoint_pq, clock or log. Which
                       one counts says the directory in the log, never the name of a file
  payload-N-ID.pem     encrypts what Temporal stores (`embedded.payload_keys`); the highest N
                       is the newest
  vault.pub            sealed words are sealed for it (PEM), and …
  vault.pem            … opened with it; may be kept elsewhere (`embedded.vaulting`)
published/           the log as outsiders get it: tiles, entries, checkpoint; any web server can
                     serve it as it is (`sequencing.files`)
policy               whom the log asks to cosign its checkpoints; made by whoever runs it
receipts/            what each step gave back: an entry signed by the log (`dondoc audit receipt`)
people/              role accounts of the sample: private keys, encrypted, each a person's own
evidence/            files that steps name, by their digests (`evidence.folder`)
passphrase           opens both, for the embedded service only; mode 0600
codec.token          opens the codec endpoint (`gateway.codec`); mode 0600
running.json         addresses of the running service
lock                 held while a service runs
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from domain.refusal import Refused

DATABASE_VARIABLE = "DONDOC_DATABASE_URL"
DATA_VARIABLE = "DONDOC_DATA"
DEFAULT_DATA = Path("data")
_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Running:
    """Where the running service can be reached; all on loopback."""

    pid: int
    door: str
    temporal: str
    web: str
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """A data directory. Nothing is created before `prepare`."""

    path: Path

    @property
    def database_url(self) -> str:
        """The database of this service: SQLite here, or what the environment names."""
        return os.environ.get(DATABASE_VARIABLE) or f"sqlite:///{self.path / 'dondoc.sqlite'}"

    @property
    def temporal_store(self) -> Path:
        return self.path / "temporal.sqlite"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def people(self) -> Path:
        return self.path / "people"

    @property
    def passphrase(self) -> Path:
        return self.path / "passphrase"

    @property
    def origin(self) -> Path:
        return self.path / "origin"

    @property
    def log_key(self) -> Path:
        return self.path / "log.pub"

    @property
    def vault_key(self) -> Path:
        return self.keys / "vault.pem"

    @property
    def vault_public(self) -> Path:
        return self.keys / "vault.pub"

    @property
    def receipts(self) -> Path:
        return self.path / "receipts"

    @property
    def published(self) -> Path:
        return self.path / "published"

    @property
    def evidence(self) -> Path:
        return self.path / "evidence"

    @property
    def policy(self) -> Path:
        return self.path / "policy"

    @property
    def codec_token(self) -> Path:
        return self.path / "codec.token"

    @property
    def running(self) -> Path:
        return self.path / "running.json"

    def prepare(self) -> None:
        """Create the directory, for the owner only."""
        for directory in (self.path, self.keys, self.people):
            directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            directory.chmod(_PRIVATE)

    @property
    def is_founded(self) -> bool:
        return self.origin.exists() and self.log_key.exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory alone. Raises Refused when a service already runs on it.

        The lock is the kernel's: it ends with its process, however that ends.
        """
        with (self.path / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                running = self.read_running()
                pid = running.pid if running else 0
                raise Refused("already_running", data=str(self.path), pid=pid) from error
            yield

    def write_running(self, running: Running) -> None:
        write_private(self.running, json.dumps(asdict(running), indent=2).encode())

    def read_running(self) -> Running | None:
        """The service that runs, or ran last; None when none has."""
        try:
            return Running(**json.loads(self.running.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
