"""The one family of errors for bytes from outside. Our own bugs raise something else."""


class Malformed(Exception):
    """The bytes are not what the format says: never signed by us, damaged, or forged.

    ``code`` is stable snake_case; ``detail`` says where, in a few words of English.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
