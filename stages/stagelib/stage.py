"""The frame around a stage's main(): errors a user can cause become one clear line, never a traceback."""

import os
import subprocess
from collections.abc import Callable
from typing import Any

from stagelib import api


class StageError(Exception):
    """The stage cannot do what the options ask; `hint` says what would help."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def run(main: Callable[[str, dict[str, Any]], int]) -> int:
    """Call main(tree, options) with the arguments from standard input; returns the exit status."""
    args = api.arguments()
    tree = args["tree"]
    try:
        return main(tree, args["options"])
    except StageError as error:
        return api.fail(str(error), error.hint)
    except subprocess.CalledProcessError as error:
        return api.fail(f"`{error.cmd[0]}` ended with status {error.returncode}; its messages are above")
    except UnicodeDecodeError as error:
        return api.fail(f"a file of the tree is not valid UTF-8: {error.reason} at byte {error.start}")
    except OSError as error:
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        return api.fail(f"{where.removeprefix(tree)}: {error.strerror}" if where else str(error))
