"""Each answer of the protocol, over HTTP, from a real witness with a real store."""

import base64
import socket
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from audit.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from audit.cosignature import verified
from audit.note import Note, format_note, parse_note
from audit.signers import Ed25519Signer, MLDSACosigner, sign_checkpoint
from audit.witnessing import MAX_REQUEST_BYTES, parse_cosignatures
from tests.support.patience import PATIENCE
from tests.support.witnessing import NAME, NOW, ORIGIN, Clock, Log, make_witness, post, served
from witness import server
from witness.cosigning import REFRESH_SECONDS
from witness.home import Home, read_signers, trust


def get(url: str, origin: str = ORIGIN) -> httpx.Response:
    return httpx.get(f"{url}/checkpoint?origin={quote(origin)}", trust_env=False, timeout=PATIENCE)


def times(home: Home, log: Log, answer: httpx.Response) -> list[int | None]:
    """The times of both lines, which are verified."""
    text = parse_note(log.note()).text
    found = verified(
        Note(text, parse_cosignatures(text, answer.content)), read_signers(home).verifiers
    )
    assert len(found) == 2
    return list(found.values())


def test_a_new_tree_is_cosigned_with_both_keys_and_the_time(url: str, home: Home, log: Log) -> None:
    answer = post(url, log.request(0))
    assert answer.status_code == 200
    assert times(home, log, answer) == [NOW, NOW]


def test_the_lines_verify_by_the_specification_without_our_code(
    url: str, home: Home, log: Log
) -> None:
    lines = post(url, log.request(0)).content.decode().splitlines()
    assert [line.split(" ")[:2] for line in lines] == [["—", NAME], ["—", NAME]]
    ed25519, mldsa = (base64.b64decode(line.split(" ")[2]) for line in lines)
    publics = [base64.b64decode(key.vkey.split("+", 2)[2]) for key in read_signers(home).verifiers]
    ids = [bytes.fromhex(key.vkey.split("+")[1]) for key in read_signers(home).verifiers]
    assert [publics[0][:1], publics[1][:1]] == [b"\x04", b"\x06"]
    assert [ed25519[:4], mldsa[:4]] == ids
    root = log.checkpoint().root
    text = f"{ORIGIN}\n8\n{base64.b64encode(root).decode()}\n"
    message = f"cosignature/v1\ntime {NOW}\n{text}".encode()
    assert ed25519[4:12] == mldsa[4:12] == NOW.to_bytes(8, "big")
    Ed25519PublicKey.from_public_bytes(publics[0][1:]).verify(ed25519[12:], message)
    subtree = (
        b"subtree/v1\n\0"
        + bytes([len(NAME)]) + NAME.encode() + NOW.to_bytes(8, "big")
        + bytes([len(ORIGIN)]) + ORIGIN.encode()
        + (0).to_bytes(8, "big") + (8).to_bytes(8, "big") + root
    )  # fmt: skip
    MLDSA44PublicKey.from_public_bytes(publics[1][1:]).verify(mldsa[12:], subtree)


def test_a_tree_that_extends_the_last_one_is_cosigned(url: str, log: Log) -> None:
    whole = log.grown(70)
    for old, new in ((0, 1), (1, 8), (8, 8), (8, 70)):
        assert post(url, whole.cut(new).request(old)).status_code == 200


def test_an_empty_tree_is_cosigned_too(url: str, log: Log) -> None:
    empty = log.cut(0)
    assert post(url, empty.request(0)).status_code == 200
    assert post(url, log.request(0)).status_code == 200


def test_an_empty_tree_has_one_root_only(url: str, log: Log) -> None:
    lie = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), log.signers, NOW)
    answer = post(url, b"old 0\n\n" + format_note(lie))
    assert (answer.status_code, answer.content) == (409, b"0\n")


def test_from_another_size_it_says_where_it_stands(url: str, log: Log) -> None:
    answer = post(url, log.request(3))
    assert (answer.status_code, answer.content) == (409, b"0\n")
    assert answer.headers["content-type"] == "text/x.tlog.size"
    assert post(url, log.request(0)).status_code == 200
    answer = post(url, log.grown(20).request(3))
    assert (answer.status_code, answer.content) == (409, b"8\n")


def test_a_smaller_tree_is_refused(url: str, log: Log) -> None:
    smaller = log.cut(5)
    assert post(url, log.request(0)).status_code == 200
    for old in (0, 5):
        answer = post(url, smaller.request(old))
        assert (answer.status_code, answer.content) == (409, b"8\n")
    assert post(url, b"old 8\n\n" + smaller.note()).status_code == 400


def test_old_above_the_size_is_refused(url: str, log: Log) -> None:
    assert post(url, b"old 9\n\n" + log.note()).status_code == 400


@pytest.mark.parametrize("old", [0, 8])
def test_another_root_at_the_same_size_is_refused(url: str, log: Log, old: int) -> None:
    assert post(url, log.request(0)).status_code == 200
    answer = post(url, log.branch(8).request(old))
    assert (answer.status_code, answer.content) == (409, b"8\n")
    assert post(url, log.request(8)).status_code == 200  # the first one stands


def test_a_proof_that_does_not_hold_is_refused(url: str, log: Log) -> None:
    assert post(url, log.request(0)).status_code == 200
    larger = log.grown(20)
    right = larger.prove(8)
    wrong = [(), right[:-1], (*right, right[0]), (bytes(32), *right[1:])]
    for proof in wrong:
        assert post(url, larger.request(8, proof)).status_code == 422
    lie = log.branch(8).grown(20)
    assert post(url, lie.request(8)).status_code == 422
    assert post(url, larger.request(8)).status_code == 200


def test_with_old_zero_or_the_same_size_there_is_no_proof(url: str, log: Log) -> None:
    assert post(url, log.request(0, [bytes(32)])).status_code == 422
    assert post(url, log.request(0)).status_code == 200
    assert post(url, log.request(8, [bytes(32)])).status_code == 422


def test_a_log_that_it_was_not_told_of_is_unknown(url: str) -> None:
    stranger = Log("other.example/log").grown(3)
    assert post(url, stranger.request(0)).status_code == 404
    assert get(url, "other.example/log").status_code == 404


def test_a_log_may_be_added_while_it_serves(url: str, home: Home) -> None:
    other = Log("other.example/log").grown(3)
    assert post(url, other.request(0)).status_code == 404
    trust(home, other.vkeys)
    assert post(url, other.request(0)).status_code == 200


def test_logs_do_not_mix(url: str, home: Home, log: Log) -> None:
    other = Log("other.example/log").grown(3)
    trust(home, other.vkeys)
    assert post(url, log.request(0)).status_code == 200
    assert post(url, other.request(0)).status_code == 200
    assert post(url, other.grown(5).request(3)).status_code == 200
    assert get(url).content.startswith(ORIGIN.encode() + b"\n8\n")


def test_each_type_of_key_that_it_was_told_must_have_signed(url: str, log: Log) -> None:
    for signer in log.signers:
        assert post(url, b"old 0\n\n" + log.note(signers=[signer])).status_code == 403


def test_a_forged_signature_is_refused_and_a_foreign_one_ignored(url: str, log: Log) -> None:
    thief = Log(ORIGIN, log.leaves)
    assert post(url, thief.request(0)).status_code == 403
    both = b"old 0\n\n" + log.note(signers=[*thief.signers, *log.signers])
    assert post(url, both).status_code == 200
    assert thief.signers[0].verifier.id not in {
        line.key_id for line in parse_note(get(url).content).lines
    }
    damaged = log.note().replace(b"\n8\n", b"\n9\n")
    assert post(url, b"old 8\n\n" + damaged).status_code == 403


def test_while_a_key_is_rotated_the_old_and_the_new_one_count(
    url: str, home: Home, log: Log
) -> None:
    fresh = Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate())
    mldsa: MLDSACosigner = log.signers[1]
    assert post(url, b"old 0\n\n" + log.note(signers=[fresh, mldsa])).status_code == 403
    trust(home, [fresh.verifier.vkey])
    assert post(url, b"old 0\n\n" + log.note(signers=[fresh, mldsa])).status_code == 200
    for ed25519 in (log.signers[:1], [*log.signers[:1], fresh]):
        data = b"old 8\n\n" + log.note(signers=[*ed25519, mldsa])
        assert post(url, data).status_code == 200


def test_too_many_proof_lines_are_malformed(url: str, log: Log) -> None:
    line = base64.b64encode(bytes(32)) + b"\n"
    for count, status in ((63, 422), (64, 400)):
        data = b"old 0\n" + line * count + b"\n" + log.note()
        assert post(url, data).status_code == status


def test_a_huge_body_is_refused(url: str) -> None:
    assert post(url, b"x" * (MAX_REQUEST_BYTES + 1)).status_code == 413
    assert post(url, b"x" * MAX_REQUEST_BYTES).status_code == 400


def test_asked_again_soon_it_says_the_same_and_later_a_new_time(
    url: str, home: Home, log: Log, clock: Clock
) -> None:
    first = post(url, log.request(0))
    clock.now += REFRESH_SECONDS - 1
    assert post(url, log.request(8)).content == first.content
    clock.now += 1
    assert times(home, log, post(url, log.request(8))) == [NOW + REFRESH_SECONDS] * 2


def test_a_clock_set_back_does_not_make_a_larger_tree_older(
    url: str, home: Home, log: Log, clock: Clock
) -> None:
    post(url, log.request(0))
    clock.now -= 1000
    larger = log.grown(9)
    assert times(home, larger, post(url, larger.request(8))) == [NOW, NOW]


def test_an_auditor_may_ask_what_it_has_seen(url: str, home: Home, log: Log) -> None:
    assert get(url).status_code == 404
    post(url, log.request(0))
    keys = [*(signer.verifier for signer in log.signers), *read_signers(home).verifiers]
    opened = open_checkpoint(get(url).content, ORIGIN, keys)
    assert opened.checkpoint == log.checkpoint()


def test_other_paths_and_methods_are_no_way_in(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
        assert client.get("/add-checkpoint").status_code == 405
        assert client.post("/checkpoint").status_code == 405
        assert client.get("/checkpoint").status_code == 404
        assert client.get("/openapi.json").status_code == 404
        assert client.get("/health").json() == {"witness": NAME}


def test_a_list_of_logs_that_was_broken_by_hand_makes_it_unavailable(
    url: str, home: Home, log: Log
) -> None:
    sound = home.logs.read_bytes()
    home.logs.write_bytes(sound + b"nonsense\n")
    assert post(url, log.request(0)).status_code == 503
    home.logs.write_bytes(b"# comment\n\n" + sound)
    assert post(url, log.request(0)).status_code == 200


def test_a_witness_remembers_over_a_restart(tmp_path: Path, log: Log) -> None:
    home = make_witness(tmp_path / "w", log)
    with served(home) as url:
        assert post(url, log.request(0)).status_code == 200
    with served(home) as url:
        answer = post(url, log.branch(8).grown(9).request(0))
        assert (answer.status_code, answer.content) == (409, b"8\n")
        assert post(url, log.grown(9).request(8)).status_code == 200
        assert parse_checkpoint(parse_note(get(url).content).text).size == 9


def dangling(url: str, *, wait: bool) -> bytes:
    """Announce a body and don't send it; what is answered."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nold"
        )
        return connection.recv(1 << 16) if wait else b""


def test_a_body_that_does_not_come_is_not_waited_for(
    url: str, log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(server, "_BODY_SECONDS", 0.2)
        assert dangling(url, wait=True).startswith(b"HTTP/1.1 408")
    dangling(url, wait=False)
    assert post(url, log.request(0)).status_code == 200
    assert caplog.records == []
