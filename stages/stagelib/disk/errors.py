"""The one exception of image making, and how it reaches the person who reads the log."""

import errno
from collections.abc import Callable

from stagelib import api


class ImageError(Exception):
    """The image cannot be made, for a reason a person can act on; `hint` says how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def guarded(work: Callable[[], None]) -> int:
    """Run an assembler's work; returns its exit status: 0, or 1 after printing what went wrong.

    A full disk is told as such. Any other exception is a bug and stays a traceback.
    """
    try:
        work()
    except ImageError as error:
        return api.fail(error.message, error.hint)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return api.fail(f"no space left for the image: {error}", "free space where the store lies, or move it: --store")
    return 0
