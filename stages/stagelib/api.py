"""The runner's interface as stages and assemblers see it: arguments in; progress, a log and an exit status out."""

import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stagelib.errors import StageError

MAX_WHAT = 80  # characters
PROGRESS = "COMPOSE_PROGRESS_FD"
SHOWN = 60  # characters of a longer path
FULL = (errno.ENOSPC, errno.EDQUOT)


def arguments() -> dict[str, Any]:
    """Read the arguments that the runner wrote to standard input.

    Returns the object of DESIGN section 7: "tree" (path), "options" (object, {} when the pipeline has none), and for
    an assembler "output_dir" (path) and, if it was given any, "secrets". The same JSON is at
    /run/osbuild/api/arguments.
    """
    args: dict[str, Any] = json.load(sys.stdin)
    return args


def run_stage(main: Callable[[str, dict[str, Any]], int]) -> int:
    """Call main(tree, options) with the arguments from standard input; returns the exit status.

    Errors that a user can cause become one clear line, never a traceback; a hostile tree can cause any OSError.
    """
    args = arguments()
    return guarded(lambda: main(args["tree"], args["options"]), tree=args["tree"])


def run_assembler(main: Callable[[str, dict[str, Any], str, dict[str, str]], int | None]) -> int:
    """Call main(tree, options, output_dir, secrets) with the arguments from standard input; returns the exit status."""
    args = arguments()
    work = lambda: main(args["tree"], args["options"], args["output_dir"], args.get("secrets", {}))  # noqa: E731
    return guarded(work, tree=args["tree"], image=True)


def guarded(work: Callable[[], int | None], *, tree: str, image: bool = False) -> int:
    """Do the work of a stage or an assembler; returns its exit status: that of `work`, or 1 after printing an error.

    tree: its paths are printed as the tree's own; a hostile one can cause any OSError. image: whether one is made.
    """
    try:
        return work() or 0
    except StageError as error:
        return fail(error.message, error.hint, error.option)
    except _failed_program() as error:
        return fail(f"`{error.cmd[0]}` ended with status {error.returncode}; its messages are above")
    except UnicodeDecodeError as error:
        return fail(f"a file of the tree is not valid UTF-8: {error.reason} at byte {error.start}")
    except OSError as error:
        return _fail_with(error, tree, image=image)
    except RecursionError:
        return fail("the directories of the tree are nested too deeply", "remove them in a stage")


def _failed_program() -> Any:
    """subprocess.CalledProcessError, if it can have been raised.

    Importing subprocess takes a tenth of a small stage's time: only programs that run others do.
    """
    module = sys.modules.get("subprocess")
    return module.CalledProcessError if module else ()


def _fail_with(error: OSError, tree: str, *, image: bool) -> int:
    if image and error.errno in FULL:
        return fail(f"no space left for the image: {error}", "free space where the store is, or move it: --store")
    where = os.fsdecode(error.filename).removeprefix(tree) if isinstance(error.filename, str | bytes) else ""
    if error.errno in FULL:
        return fail(f"no space left for {where or 'the tree'}", "free some space where the trees and the downloads are")
    if error.errno == errno.ENAMETOOLONG and where:
        beginning = f"{where[:SHOWN]}…" if len(where) > SHOWN else where
        why = f"this path is too long for the programs that read the tree here ({len(os.fsencode(where))} bytes)"
        return fail(f"{beginning}: {why}", "remove it in a stage, or nest directories less deeply")
    return fail(f"{where}: {error.strerror}" if where else str(error))


def progress(done: int, total: int, unit: str = "bytes", what: str = "") -> None:
    """Report how much of the work is done, `done` of `total`, both counted in `unit`; 0 and 0 if that is not known.

    what says what is being done, such as "configure"; without it, it is what was reported last.

    The runner passes a pipe's descriptor in COMPOSE_PROGRESS_FD and reads one JSON object a line from it, of at most
    64 KiB; without the variable nothing is reported.
    """
    about = {"what": what[:MAX_WHAT]} if what else {}
    _report({"done": done, "total": total, "unit": unit, **about})


def note(message: str) -> None:
    """Tell the user something worth knowing, also if the stage succeeds; it is in the log, too."""
    print(f"note: {message}", flush=True)
    _report({"note": message})


def _report(fields: dict[str, Any]) -> None:
    if has_listener():
        os.write(int(os.environ[PROGRESS]), f"{json.dumps(fields)}\n".encode())


def has_listener() -> bool:
    """Whether progress() and note() have a reader."""
    return PROGRESS in os.environ


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Report that the block does this, and print `name: 1.23 s` to the log when it is done; nothing when it fails."""
    start = time.monotonic()
    progress(0, 0, "", name)
    yield
    print(f"{name}: {time.monotonic() - start:.2f} s", flush=True)


def fail(message: str, hint: str = "", option: tuple[str | int, ...] = ()) -> int:
    """Print what went wrong, where in the options, and what to do about it, to the stage's log; returns status 1."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    if option:
        print(f"option: {json.dumps(option)}", file=sys.stderr, flush=True)
    if hint:
        print(f"hint: {hint}", file=sys.stderr, flush=True)
    return 1
