"""The sample as values: its agencies, its role accounts, and the bytes of its tasks."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from domain.directory import Agency

TASKS_NAME = "kon_tum.yaml"


@dataclass(frozen=True, slots=True)
class Account:
    """A post, not a person. ``roles`` are (agency, role) pairs."""

    person: str
    roles: tuple[tuple[str, str], ...]
    title_vi: str
    title_en: str


@dataclass(frozen=True, slots=True)
class SampleDirectory:
    agencies: tuple[Agency, ...]
    accounts: tuple[Account, ...]


def load_directory() -> SampleDirectory:
    """The agencies of the sample, and the accounts of each."""
    value: dict[str, Any] = yaml.safe_load(_bytes("directory.yaml"))
    agencies = tuple(
        Agency(one["id"], one["vi"], one["en"], one.get("parent")) for one in value["agencies"]
    )
    own = [_own_account(agency, post) for agency in agencies for post in value["posts"]]
    special = [_special_account(one) for one in value["accounts"]]
    return SampleDirectory(agencies, (*own, *special))


def load_tasks() -> bytes:
    """The sample's tasks, for `intake.reading.read_bytes` under the name `TASKS_NAME`."""
    return _bytes(TASKS_NAME)


def _own_account(agency: Agency, post: dict[str, str]) -> Account:
    return Account(
        f"{agency.id}.{post['role']}",
        ((agency.id, post["role"]),),
        f"{post['vi']}, {agency.name_vi}",
        f"{post['en']}, {agency.name_en}",
    )


def _special_account(value: dict[str, Any]) -> Account:
    agency = value["person"].partition(".")[0]
    roles = tuple((agency, role) for role in value["roles"])
    return Account(value["person"], roles, value["vi"], value["en"])


def _bytes(name: str) -> bytes:
    return files("samples").joinpath(name).read_bytes()
