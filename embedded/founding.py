"""The first start: keys, the log's first entries, the sample's agencies and tasks.

Each part looks at what is there already, so a start that was cut off is finished by the next one.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from audit.keys import PrivateKey
from audit.submission import Submission
from domain.calendars import load
from domain.directory import ADMINISTRATOR, LOG, SERVICE
from domain.refusal import Refused
from embedded import keyring
from embedded.home import Home, write_private
from gateway.composing import Signer, compose_change
from gateway.importing import Imported, import_drafts
from intake.reading import read_bytes
from samples.loading import TASKS_NAME, Account, load_directory, load_tasks
from worker import Service

log = structlog.get_logger(__name__)
SAMPLE_OFFICE = "vpub.office"


def make_keys(home: Home) -> None:
    """The service's keys and the log's name, on a data directory that has none."""
    home.prepare()
    passphrase = keyring.make_passphrase(home)
    for name in SERVICE:
        path = keyring.key_path(home, name)
        if not path.exists():
            if home.is_founded:
                # A new key would sign what no auditor's key verifies, and no workflow believes.
                raise Refused("key_file_missing", path=str(path))
            keyring.save_key(path, keyring.new_key(name), passphrase)
    log_key = keyring.read_key(keyring.key_path(home, LOG), passphrase).public
    if not home.origin.exists():
        write_private(home.origin, f"localhost/dondoc/{log_key.id[:8]}\n".encode())
    keyring.save_public(home.log_key, log_key)


async def found(home: Home, service: Service, now: Callable[[], datetime]) -> None:
    """Open the log with its first entry, unless it is open."""
    founder = _Founder(home, service, now)
    if service.recorder.directory().seq == 0:
        await founder.change("found", founder.founding)
        log.info("log_founded", origin=founder.origin)


async def settle_sample(home: Home, service: Service, now: Callable[[], datetime]) -> Imported:
    """The sample's agencies, role accounts and tasks, as far as they are not there yet."""
    founder = _Founder(home, service, now)
    directory = service.recorder.directory()
    sample = load_directory()
    for agency in sample.agencies:
        if agency.id not in directory.agencies:
            await founder.change("add_agency", {
                "agency": agency.id, "name_vi": agency.name_vi, "name_en": agency.name_en,
            })  # fmt: skip
    for account in sample.accounts:
        if account.person not in directory.people:
            await founder.enrol(account)
    office = Signer(founder.person_key(SAMPLE_OFFICE), "vpub", "office")

    async def submit(submission: Submission) -> bytes:
        return (await service.door.submit(submission)).entry or b""

    today = load().local_day(now())
    intake = read_bytes(load_tasks(), TASKS_NAME, today)
    return await import_drafts(
        intake.drafts, founder.origin, office, submit, service.recorder.task, now
    )


class _Founder:
    """The administrator of an embedded log: signs changes of its directory."""

    def __init__(self, home: Home, service: Service, now: Callable[[], datetime]) -> None:
        self._home = home
        self._service = service
        self._now = now
        self._passphrase = keyring.read_passphrase(home)
        self.origin = keyring.read_origin(home)
        self.founding = {name: spki(self._founding_key(name)) for name in SERVICE}

    async def change(self, event: str, arguments: dict[str, Any]) -> None:
        founding, key = self.founding, self._founding_key(ADMINISTRATOR)
        if event != "found":
            key = keyring.key_named(self._home, self._service.recorder.directory(), ADMINISTRATOR)
        submission = compose_change(
            self.origin,
            None if event == "found" else founding,
            event,
            arguments,
            Signer(key, "log", ADMINISTRATOR),
            self._now(),
        )
        await self._service.door.submit(submission)

    async def enrol(self, account: Account) -> None:
        """Make the person's key first: what is enrolled can be used."""
        await self.change("enrol", {
            "person": account.person,
            "spki": spki(self.person_key(account.person)),
            "roles": [{"agency": agency, "role": role} for agency, role in account.roles],
            "title_vi": account.title_vi,
            "title_en": account.title_en,
        })  # fmt: skip

    def person_key(self, person: str) -> PrivateKey:
        path = keyring.person_path(self._home, person)
        if not path.exists():
            keyring.save_key(path, keyring.new_key(), self._passphrase)
        return keyring.read_key(path, self._passphrase)

    def _founding_key(self, name: str) -> PrivateKey:
        return keyring.read_key(keyring.key_path(self._home, name), self._passphrase)


def spki(key: PrivateKey) -> str:
    """The public half as the directory writes it: base64 SubjectPublicKeyInfo."""
    return base64.b64encode(key.public.spki).decode()
