"""What an entry that fails a check raises, until the engine makes a finding of it."""

from audit.report import Check


class Broken(Exception):
    """An entry failed a check. ``code`` is stable snake_case, ``detail`` English.

    ``missing`` is the seq and leaf of another entry to be named: one that is not there.
    """

    def __init__(
        self,
        check: Check,
        code: str,
        detail: str = "",
        *,
        missing: tuple[int, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.check = check
        self.code = code
        self.detail = detail
        self.missing = missing
