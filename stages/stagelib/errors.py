"""The error of a stage or an assembler that its user can act on."""


class StageError(Exception):
    """The program cannot do what its options ask; `hint` says what would help."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
