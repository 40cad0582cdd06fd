"""Names in certificates, in the form by which they are the same or not.

RFC 5280, 7.1: the kind of string, upper and lower case, and how many spaces stand where, make no
other name; values are prepared as RFC 4518 says (2.2 to 2.3, 2.6.1) and then compared, part by
part in their order. Bytes alone would let one authority spell one name in two ways.

Of Unicode the tables of version 3.2 count, as RFC 4518 has them, and characters that came later are
left as they are: under every Python a name is the same name.
"""

import stringprep
from unicodedata import ucd_3_2_0

from cryptography import x509

Comparable = tuple[frozenset[tuple[str, str | bytes]], ...]
"""Equal for names that are the same."""


def comparable(name: x509.Name) -> Comparable:
    """The name in the form by which it is compared with others."""
    return tuple(
        frozenset((each.oid.dotted_string, _prepared(each.value)) for each in part)
        for part in name.rdns
    )


def _prepared(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):  # a bit string
        return value
    mapped = "".join(_mapped(each) for each in value if not stringprep.in_table_b1(each))
    return " ".join(ucd_3_2_0.normalize("NFKC", mapped).split())


def _mapped(character: str) -> str:
    """In lower case, as far as Unicode 3.2 knows the character."""
    if stringprep.in_table_a1(character):
        return character
    return stringprep.map_table_b2(character)
