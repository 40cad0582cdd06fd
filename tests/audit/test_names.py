"""When two names in certificates are one."""

import hashlib
import sys
from unicodedata import normalize

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from audit.names import comparable
from tests.support.certificates import name_of, printable

AN = name_of("Nguyễn Văn An")


def of(*parts: dict[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([
        x509.RelativeDistinguishedName([x509.NameAttribute(*each) for each in part.items()])
        for part in parts
    ])  # fmt: skip


@pytest.mark.parametrize(
    "other",
    ["NGUYỄN VĂN AN", "nguyễn văn an", "  Nguyễn   Văn\tAn ", normalize("NFD", "Nguyễn Văn An"),
     "Nguyễn\u00a0Văn An", "Nguyễn Văn A\u00adn", "Ｎguyễn Văn An"],
)  # fmt: skip
def test_case_spaces_and_spelling_by_other_characters_make_no_other_name(other: str) -> None:
    assert comparable(name_of(other)) == comparable(AN)


def test_the_kind_of_string_makes_no_other_name() -> None:
    assert printable("An").public_bytes() != name_of("An").public_bytes()
    assert comparable(printable("An")) == comparable(name_of("An"))


def test_the_order_within_a_part_makes_no_other_name_that_of_the_parts_does() -> None:
    common, number = {NameOID.COMMON_NAME: "An"}, {NameOID.SERIAL_NUMBER: "7"}
    together = of({**common, **number})
    assert comparable(together) == comparable(of({**number, **common}))
    names = [together, of(common, number), of(number, common), of(common), of(number)]
    assert len({comparable(each) for each in names}) == len(names)


@pytest.mark.parametrize("other", ["Nguyen Van An", "Nguyễn Văn Án", "NguyễnVăn An", "An", ""])
def test_another_name_is_another(other: str) -> None:
    others = name_of(other) if other else x509.Name([])
    assert comparable(others) != comparable(AN)


def test_a_value_means_something_by_its_type_alone() -> None:
    assert comparable(of({NameOID.SURNAME: "An"})) != comparable(of({NameOID.COMMON_NAME: "An"}))


def test_a_value_that_is_no_text_is_compared_as_it_is() -> None:
    bits = [x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, each, x509.name._ASN1Type.BitString)
            for each in (b"\x00A", b"\x00a")]  # fmt: skip
    first, second = (comparable(x509.Name([each])) for each in bits)
    assert first != second


def test_a_name_is_the_same_under_every_python() -> None:
    """Each brings tables of its own Unicode; were these asked, a log could hold under one Python
    and not under the next.
    """
    every = [chr(each) for each in range(1, sys.maxunicode + 1) if not 0xD800 <= each < 0xE000]
    digest = hashlib.sha256()
    for begins in range(0, len(every), 1_000):
        ((_, value),) = comparable(of({NameOID.SURNAME: "x".join(every[begins : begins + 1_000])}))[
            0
        ]
        assert isinstance(value, str)
        digest.update(value.encode() + b"\n")
    assert digest.hexdigest() == (
        "4d9d0d230a05eb34dde223b794488669ae634a64a67769502f3ea75a1be595b2"
    )
