"""Bytes to text: UTF-8 is read, other encodings are recognised and named, never guessed at.

Two old Vietnamese ones are still met: Windows-1258, and TCVN3 (also called ABC), whose fonts show
Vietnamese letters where Latin ones stand. "nhiệm vụ" in TCVN3 is the text "nhiÖm vô", also inside a
file that is perfect UTF-8, so text is looked at as well as bytes.
"""

import codecs
import re
from collections.abc import Iterable
from typing import NoReturn
from unicodedata import normalize

from domain.refusal import Refused

_LOOKED_AT = 65_536
_ENOUGH = 2
_NULS = 0.2

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_TCVN3 = str.maketrans(
    "µ¸¶·¹¨»¾¼½Æ©ÇÊÈÉË®ÌÐÎÏÑªÒÕÓÔÖ×ÝØÜÞßãáâä«åèæçé¬êíëìîïóñòô\xadõøö÷ùúýûüþ¡¢§£¤¥¦",
    "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵĂÂĐÊÔƠƯ",
)
# Syllables that hardly any Vietnamese office text goes without.
_SYLLABLES = (
    "nhiệm vụ văn bản số ngày ký hiệu hành người độ mật thường tên nội chủ trì phối hợp thời hạn "
    "hằng tháng trước năm báo cáo thực hiện của và các được tỉnh huyện sở ủy nhân dân kế hoạch "
    "quản lý"
)
_COMMON = frozenset(_SYLLABLES.split())


def decode(data: bytes) -> str:
    """The text of UTF-8 bytes, with or without a byte order mark.

    Raises Refused on any other: ``wrong_encoding`` when it is recognised, or ``unknown_encoding``.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise Refused("wrong_encoding", encoding=name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    head = data[:_LOOKED_AT]
    if head.count(0) > _NULS * len(head):
        raise Refused("wrong_encoding", encoding="UTF-16")
    if text is None:
        _refuse_bytes(head)
    refuse_legacy_font([text[:_LOOKED_AT]])
    return text


def refuse_legacy_font(texts: Iterable[str]) -> None:
    """Raise Refused when words read as Vietnamese only under a TCVN3 font."""
    sample = " ".join(texts)[:_LOOKED_AT]
    before, after = _score(sample), _score(sample.translate(_TCVN3))
    if after >= _ENOUGH and after > 2 * before:
        raise Refused("wrong_encoding", encoding="TCVN3 (ABC)")


def _refuse_bytes(head: bytes) -> NoReturn:
    scores = {
        "TCVN3 (ABC)": _score(head.decode("latin-1").translate(_TCVN3)),
        "Windows-1258": _score(head.decode("cp1258", errors="replace")),
    }
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= _ENOUGH:
        raise Refused("wrong_encoding", encoding=best)
    raise Refused("unknown_encoding")


def _score(text: str) -> int:
    """How many words of the text are common Vietnamese ones."""
    words = re.findall(r"[^\W\d_]+", normalize("NFC", text).casefold())
    return sum(word in _COMMON for word in words)
