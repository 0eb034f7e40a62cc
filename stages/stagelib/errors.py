"""The error of a stage or an assembler that its user can act on."""


class StageError(Exception):
    """The program cannot do what its options ask; `hint` says what would help.

    `option` leads to the value at fault in the options: ("users", "admin", "groups", 0).
    """

    def __init__(self, message: str, hint: str = "", option: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.option = option
