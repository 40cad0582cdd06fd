"""`dondoc key` as a person types it, on a real door."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from audit.entry import header_digest
from audit.private_keys import PrivateKey
from domain.directory import SERVICE
from embedded.keyring import PASSPHRASE_VARIABLE, key_path, read_key, save_key, save_public
from embedded.payload_keys import ring
from gateway.composing import prove_enrolment
from messages import LANGUAGES
from tests.cli.shell import PASSPHRASE, Shell
from tests.support.certificates import TRUSTED, certificate_of, clear_pem
from tests.support.world import key_of

POST = ("--role", "snv:officer", "--title-vi", "Cán bộ", "--title-en", "Officer")


@pytest.fixture
def passphrase(monkeypatch: pytest.MonkeyPatch) -> str:
    """A person's own, in the environment."""
    word = "cua rieng toi"
    monkeypatch.setenv(PASSPHRASE_VARIABLE, word)
    return word


def an_order(shell: Shell) -> None:
    """A task for snv, due in sixty days."""
    due = (shell.world.now + timedelta(days=60)).date().isoformat()
    issued = (shell.world.now - timedelta(days=1)).date().isoformat()
    shell.world.assigned("D1-1", issued_on=issued, due_on=due)


def in_force(shell: Shell) -> dict[str, Any]:
    return {key["holder"]: key for key in shell.json("key", "list")["keys"]}


def enrol(shell: Shell, tmp_path: Path, name: str = "an") -> PrivateKey:
    """Enrol snv.NAME; the key's file is NAME.pem."""
    key = key_of(name)
    save_public(tmp_path / f"{name}.pub", key.public)
    save_key(tmp_path / f"{name}.pem", key, PASSPHRASE)
    given = ("--public", str(tmp_path / f"{name}.pub"), *proof(shell, tmp_path, f"snv.{name}", key))
    assert shell("directory", "add-person", f"snv.{name}", *POST) == 0, shell.complained
    assert shell("key", "enrol", f"snv.{name}", *given) == 0, shell.complained
    return key


def proof(shell: Shell, tmp_path: Path, person: str, key: PrivateKey) -> tuple[str, str]:
    """The option with the proof that a person made."""
    path = tmp_path / f"{person}.proof"
    path.write_text(prove_enrolment(shell.world.origin, person, key) + "\n")
    return "--proof", str(path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_shows_whose_key_is_whose_without_a_service(shell: Shell, language: str) -> None:
    assert shell("key", "list", language=language) == 0
    for holder in (*SERVICE, "snv.officer"):
        assert holder in shell.said
    assert "ml-dsa-44" in shell.said
    listed = shell.json("key", "list")
    assert listed["founding"] == header_digest(shell.world.founding)
    assert {key["state"] for key in listed["keys"]} == {"in_force"}
    assert in_force(shell)["checkpoint_pq"]["purpose"] == "checkpoint_pq"
    assert in_force(shell)["snv.officer"]["purpose"] == "person"


def test_a_person_makes_a_key_and_signs_with_it_once_enrolled(
    served: Shell, tmp_path: Path, passphrase: str
) -> None:
    file = tmp_path / "an.pem"
    assert served("key", "new", str(file)) == 0, served.complained
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    made = read_key(file, passphrase.encode())
    assert made.public.id in served.said
    # Elsewhere, without the data directory, they name the log.
    origin = served.world.origin
    assert served("key", "prove", "snv.an", str(file), "--log", origin) == 0, served.complained
    given = ("--public", str(tmp_path / "an.pub"), "--proof", str(tmp_path / "an.proof"))
    # The administrator's passphrase is that of the data directory.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(PASSPHRASE_VARIABLE)
        assert served("key", "enrol", "snv.an", *given) == 1
        assert served("directory", "add-person", "snv.an", *POST) == 0, served.complained
        served("key", "enrol", "snv.an", *given)
        assert served.status == 0, served.complained
        assert in_force(served)["snv.an"]["key"] == made.public.id
    an_order(served)
    assert served("task", "confirm", "D1-1", "--key", str(file)) == 0, served.complained


def test_a_key_file_is_never_overwritten(shell: Shell, tmp_path: Path, passphrase: str) -> None:
    assert passphrase
    file = tmp_path / "an.pem"
    for existing in (file, tmp_path / "an.pub"):
        existing.write_text("mine")
        assert shell("key", "new", str(file)) == 1
        assert existing.read_text() == "mine"
        existing.unlink()
    assert shell("key", "new", str(file)) == 0


def test_without_a_passphrase_no_key_is_made(shell: Shell, tmp_path: Path) -> None:
    assert shell("key", "new", str(tmp_path / "an.pem")) == 1
    assert PASSPHRASE_VARIABLE in shell.complained
    assert not (tmp_path / "an.pem").exists()


def test_somebody_signs_with_the_p12_file_of_their_authority(
    served: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = PrivateKey(ec.derive_private_key(4321, ec.SECP256R1()))
    now = served.world.now
    der = certificate_of(key, now - timedelta(days=1), timedelta(days=30))
    (tmp_path / "an.cer").write_bytes(der)
    (tmp_path / "an.key").write_bytes(clear_pem(key.unwrapped))
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-inkey", "an.key", "-in", "an.cer", "-out", "an.p12",
         "-passout", "pass:matkhau"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    assert served("directory", "add-person", "snv.an", *POST) == 0, served.complained
    with monkeypatch.context() as patch:
        patch.setenv(PASSPHRASE_VARIABLE, "matkhau")
        assert served("key", "prove", "snv.an", str(tmp_path / "an.p12")) == 0, served.complained
    given = ("--certificate", str(tmp_path / "an.cer"), "--proof", str(tmp_path / "an.proof"))
    served("key", "enrol", "snv.an", *given)
    assert served.status == 1
    assert "dondoc authority trust" in served.complained
    served.world.change("trust_authority", TRUSTED)
    served("key", "enrol", "snv.an", *given)
    assert served.status == 0, served.complained
    listed = in_force(served)["snv.an"]
    assert (listed["type"], listed["key"]) == ("ecdsa-p256", key.public.id)
    assert listed["valid_until"] is not None
    an_order(served)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "matkhau")
    served("task", "confirm", "D1-1", "--key", str(tmp_path / "an.p12"))
    assert served.status == 0, served.complained
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    assert served("task", "start", "D1-1", "--key", str(tmp_path / "an.p12")) == 1


@pytest.mark.parametrize("holder", SERVICE)
def test_a_key_of_the_log_itself_is_exchanged_and_the_service_goes_on(
    served: Shell, holder: str
) -> None:
    before = in_force(served)[holder]["key"]
    assert served("key", "rotate", holder) == 0, served.complained
    after = in_force(served)[holder]["key"]
    assert after != before
    assert read_key(key_path(served.home, holder, after), PASSPHRASE).public.id == after
    # Steps, and further changes of the directory, go on; receipts are believed.
    an_order(served)
    assert served("task", "confirm", "D1-1", "--as", "snv.officer") == 0, served.complained
    assert served("key", "revoke", before[:16], "--reason", "superseded") == 0, served.complained
    states = {key["key"]: key["state"] for key in served.json("key", "list", "--all")["keys"]}
    assert (states[before], states[after]) == ("revoked", "in_force")
    assert served("audit", "verify") == 0, served.said


def test_the_present_key_of_the_log_is_not_revoked(served: Shell) -> None:
    for holder in SERVICE:
        key = in_force(served)[holder]["key"]
        assert served("key", "revoke", key, "--reason", "lost") == 1
        assert "dondoc key rotate" in served.complained


def test_an_exchange_that_is_refused_leaves_no_key_behind(shell: Shell) -> None:
    before = sorted(path.name for path in shell.home.keys.iterdir())
    assert shell("key", "rotate", "log") == 1  # no service runs
    assert sorted(path.name for path in shell.home.keys.iterdir()) == before


def test_disputed_entries_are_shown_and_are_no_error(served: Shell, tmp_path: Path) -> None:
    enrol(served, tmp_path)
    an_order(served)
    pem = str(tmp_path / "an.pem")
    assert served("task", "confirm", "D1-1", "--key", pem) == 0, served.complained
    assert served("task", "start", "D1-1", "--key", pem) == 0
    served("key", "revoke", "snv.an", "--reason", "compromised", "--since", "18", language="en")
    assert served.status == 0, served.complained
    assert served("task", "report", "D1-1", "--summary", "x", "--key", pem) == 1
    for language in LANGUAGES:
        assert served("audit", "verify", language=language) == 0
        assert "snv.an" in served.said
    found = served.json("audit", "verify")
    assert (found["ok"], found["disputed_entries"]) == (True, 1)
    assert found["disputed"][0]["seq"] == 4
    listed = {key["key"]: key for key in served.json("key", "list", "--all")["keys"]}
    revoked = listed[key_of("an").public.id]
    assert (revoked["state"], revoked["disputed_since"]) == ("revoked", 18)
    assert served("key", "list", "--all") == 0
    assert "18" in served.said


def test_a_person_whose_key_was_revoked_gets_another(served: Shell, tmp_path: Path) -> None:
    enrol(served, tmp_path)
    assert served("key", "revoke", "snv.an", "--reason", "lost") == 0, served.complained
    assert served("key", "revoke", "snv.an", "--reason", "lost") == 1
    key = key_of("an 2")
    save_public(tmp_path / "2.pub", key.public)
    given = ("--public", str(tmp_path / "2.pub"), *proof(served, tmp_path, "snv.an", key))
    assert served.json("key", "rotate", "snv.an", *given)["refused"] == "enrol_first"
    served("key", "enrol", "snv.an", *given)
    assert served.status == 0, served.complained
    assert in_force(served)["snv.an"]["key"] == key_of("an 2").public.id


def test_a_person_exchanges_their_key(served: Shell, tmp_path: Path) -> None:
    key = key_of("officer 2")
    save_public(tmp_path / "2.pub", key.public)
    given = ("--public", str(tmp_path / "2.pub"))
    wrong = proof(served, tmp_path, "snv.approver", key)
    assert served.json("key", "rotate", "snv.officer", *given, *wrong)["refused"] == (
        "enrolment_not_proved"
    )
    right = proof(served, tmp_path, "snv.officer", key)
    assert served("key", "rotate", "snv.officer", *given, *right) == 0, served.complained
    assert in_force(served)["snv.officer"]["key"] == key.public.id


def test_the_administrators_key_may_lie_elsewhere(served: Shell, tmp_path: Path) -> None:
    path = key_path(served.home, "administrator")
    usb = path.rename(tmp_path / "administrator.pem")
    assert served("key", "rotate", "clock") == 1
    assert served("key", "rotate", "clock", "--administrator", str(usb)) == 0, served.complained
    usb.rename(path)


@pytest.mark.parametrize(
    "words",
    [
        ("enrol", "snv.an"),
        ("enrol", "snv.an", "--proof", "a"),
        ("enrol", "snv.an", "--public", "a"),
        ("enrol", "snv.an", "--public", "a", "--certificate", "b", "--proof", "a"),
        ("enrol", "snv.an", "--certificate", "b"),
        ("enrol", "snv.an", "--public", "a", "--key", "b", "--proof", "a"),
        ("enrol", "snv.an", "--public", "a", "--chain", "b", "--proof", "a"),
        ("enrol", "snv.an", "--key", "b", "--chain", "b"),
        ("enrol", "snv.an", "--chain", "b", "--proof", "a"),
        ("rotate", "snv.officer"),
        ("rotate", "log", "--proof", "a"),
        ("rotate", "log", "--key", "a"),
        ("rotate", "log", "--chain", "a"),
        ("rotate", "log", "--public", "a"),
        ("revoke", "snv.officer", "--reason", "bored"),
        ("revoke", "snv.officer", "--reason", "lost", "--since", "-1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_misuse(served: Shell, tmp_path: Path, words: Any) -> None:
    save_public(tmp_path / "a", key_of("a").public)
    given = [str(tmp_path / "a") if word == "a" else word for word in words]
    assert served("key", *given) == 2, served.complained


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("revoke", "nobody", "--reason", "lost"), "unknown_key"),
        (("revoke", "ab", "--reason", "lost"), "unknown_key"),
        (("rotate", "nobody", "--public", "a", "--proof", "c"), "unknown_person"),
        (("enrol", "nobody", "--public", "a", "--proof", "c"), "unknown_person"),
        (("enrol", "snv.officer", "--public", "a", "--proof", "missing"), "file_missing"),
        (("enrol", "snv.officer", "--public", "a", "--proof", "d"), "enrolment_not_proved"),
        (("rotate", "snv.officer", "--public", "missing", "--proof", "c"), "key_file_missing"),
        (("rotate", "snv.officer", "--certificate", "a", "--proof", "c"), "certificate_unreadable"),
        (("rotate", "snv.officer", "--public", "b", "--proof", "c"), "public_key_unreadable"),
        (("rotate", "snv.officer", "--key", "b"), "private_key_unreadable"),
    ],
)
def test_what_is_not_possible_says_why(
    served: Shell, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    save_public(tmp_path / "a", key_of("a").public)
    (tmp_path / "b").write_text("hello")
    proved = prove_enrolment(served.world.origin, "nobody", key_of("a"))
    (tmp_path / "c").write_text(proved)
    (tmp_path / "d").write_text("đây")
    files = {"a", "b", "c", "d", "missing"}
    given = [str(tmp_path / word) if word in files else word for word in words]
    assert served.json("key", *given)["refused"] == code


def test_a_receipt_by_a_key_of_nobody_is_not_believed_after_an_exchange(served: Shell) -> None:
    assert served("key", "rotate", "log") == 0
    save_public(served.home.log_key, key_of("another log").public)
    assert served("key", "rotate", "clock") == 1
    assert "receipt" in served.json("key", "rotate", "clock")["refused"]


def test_a_key_of_the_log_is_not_taken_for_a_persons(served: Shell, tmp_path: Path) -> None:
    an_order(served)
    clock = str(key_path(served.home, "log"))
    assert served.json("task", "confirm", "D1-1", "--key", clock)["refused"] == (
        "key_of_other_purpose"
    )
    stranger = tmp_path / "stranger.pem"
    save_key(stranger, key_of("stranger"), PASSPHRASE)
    assert served.json("task", "confirm", "D1-1", "--key", str(stranger))["refused"] == (
        "unknown_key"
    )


def test_holders_are_offered_after_tab(shell: Shell) -> None:
    from types import SimpleNamespace  # noqa: PLC0415 - here only

    from cli.completing import complete_holder  # noqa: PLC0415 - likewise

    context: Any = SimpleNamespace(params={"data_": shell.home.path})
    context.find_root = lambda: context
    assert complete_holder(context, "c") == ["checkpoint", "checkpoint_pq", "clock"]
    assert complete_holder(context, "snv.o") == ["snv.officer"]


def test_a_payload_key_is_added_beside_the_ones_that_are_there(shell: Shell) -> None:
    before = ring(shell.home)
    made = shell.json("key", "rotate-payload")
    assert made["directory"] == str(shell.home.keys)
    after = ring(shell.home)
    assert after.newest().id == made["key"] != before.newest().id
    assert after.find(before.newest().id) == before.newest()
    for language in LANGUAGES:
        assert shell("key", "rotate-payload", language=language) == 0
        assert ring(shell.home).newest().id in shell.said


def test_without_a_log_there_is_nothing_to_make_a_payload_key_for(shell: Shell) -> None:
    shell.home.origin.unlink()
    assert shell.json("key", "rotate-payload")["refused"] == "not_founded"
