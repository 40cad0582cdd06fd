"""The first start: keys, the log's first entries, the sample's agencies and tasks.

Each part looks at what is there already, so a start that was cut off is finished by the next one.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from audit.private_keys import PrivateKey
from audit.submission import Submission
from domain.calendars import load
from domain.directory import ADMINISTRATOR, LOG, SERVICE
from domain.instants import format_instant
from domain.refusal import Refused
from domain.task import Secrecy
from embedded import keyring, payload_keys
from embedded.home import Home, write_private
from embedded.vaulting import make_vault
from gateway.composing import Signer, compose_change, prove_enrolment
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
    payload_keys.make_first(home)
    make_vault(home, passphrase)
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
                "parent": agency.parent,
            })  # fmt: skip
    missing = [each for each in sample.accounts if each.person not in directory.people]
    if missing:
        await founder.add_people(missing)
    # Who had a key and lost it, by a revocation or by leaving, gets none from here.
    holders = {key.holder for key in directory.keys.values()}
    for account in sample.accounts:
        if account.person not in holders:
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

    async def add_people(self, accounts: Sequence[Account]) -> None:
        """All in one entry; they hold their roles from now on, for good."""
        since = {"from": format_instant(self._now()), "until": None}
        await self.change("add_people", {"people": [
            {
                "person": account.person,
                "title_vi": account.title_vi,
                "title_en": account.title_en,
                "clearance": str(Secrecy.NORMAL),
                "roles": [{"agency": a, "role": role, **since} for a, role in account.roles],
            }
            for account in accounts
        ]})  # fmt: skip

    async def enrol(self, account: Account) -> None:
        """Make the person's key first: what is enrolled can be used."""
        key = self.person_key(account.person)
        await self.change("enrol", {
            "person": account.person,
            "spki": spki(key),
            "proof": prove_enrolment(self.origin, account.person, key),
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
