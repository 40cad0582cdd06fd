"""The closed lists of words in the sheet of people: roles and clearances."""

from collections.abc import Mapping

from domain.task import Secrecy
from intake import words
from intake.words import LONGEST, fold

OPERATOR = "operator"

ROLES: Mapping[str, tuple[str, ...]] = {
    "office": ("Văn phòng", "Office"),
    "officer": ("Cán bộ đầu mối", "Officer", "Chuyên viên đầu mối", "Contact officer"),
    "approver": ("Người phê duyệt", "Approver"),
    "monitor": ("Người theo dõi, đôn đốc", "Monitor", "Theo dõi, đôn đốc"),
    "inspector": ("Người kiểm tra", "Inspector", "Kiểm tra"),
    "leader": ("Lãnh đạo", "Leader"),
    "auditor": ("Kiểm toán", "Auditor", "Người kiểm toán", "Kiểm toán viên"),
    OPERATOR: (
        "Vận hành hệ thống",
        "Operator",
        "Người vận hành hệ thống",
        "Người vận hành",
        "System operator",
    ),
}
"""Each role with the words for it; the first, Vietnamese, is what the template offers."""

CLEARANCES: Mapping[str, str] = {
    str(Secrecy.NORMAL): "thường",
    str(Secrecy.SECRET): "mật",
    str(Secrecy.TOP_SECRET): "tối mật",
}

_ROLE = {fold(word): role for role, several in ROLES.items() for word in (role, *several)}


def role(text: str) -> str | None:
    """The role that a cell names, by its code or in either language."""
    return _ROLE.get(fold(text[:LONGEST]))


def clearance(text: str) -> str | None:
    """The level that a cell names. The highest (tuyệt mật) is none: it never enters (Art. 5)."""
    level = words.secrecy(text)
    return str(level) if level else None
