"""What fuzzers share: random inputs from numbered seeds, each tried under a watch of time and memory.

COMPOSE_FUZZ=N tries N inputs of each kind instead of a few; COMPOSE_FUZZ_FROM=SEED begins with another seed. A failure
names its seed: COMPOSE_FUZZ=1 COMPOSE_FUZZ_FROM=SEED tries it again.
"""

import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from osbuild_compose.errors import ComposeError, ExitCode
from osbuild_compose.report import error_text
from osbuild_compose.report.style import Style
from osbuild_compose.report.terminal import filtered

SECONDS = 5.0  # of processor time for one input
MEMORY = 300 << 20  # bytes that one input may add to the largest size so far
COUNT = int(os.environ.get("COMPOSE_FUZZ", "0"))
FIRST = int(os.environ.get("COMPOSE_FUZZ_FROM", "0"))


class TooSlowError(Exception):
    """An input took longer than SECONDS."""


def seeds(few: int) -> range:
    """The numbers of the inputs to try: `few`, or as many as COMPOSE_FUZZ says."""
    return range(FIRST, FIRST + (COUNT or few))


@contextmanager
def watched() -> Iterator[None]:
    """Fails when what runs inside takes too long or too much memory."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError

    handler = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < MEMORY, f"it took {grown >> 20} MiB"


def try_each(few: int, make: Callable[[random.Random], bytes], run: Callable[[bytes], object]) -> None:
    """Give `run` an input of each seed: it must end, or raise ComposeError with an error that can be shown."""
    failed: list[str] = []
    for seed in seeds(few):
        raw = make(random.Random(seed))
        started = time.process_time()
        try:
            with watched():
                survives(lambda: run(raw))  # noqa: B023 - called at once
        except Exception as error:
            took = time.process_time() - started
            failed.append(f"seed {seed}: {type(error).__name__}: {error!s:.200} after {took:.1f} s: {raw[:300]!r}")
    assert not failed, f"{len(failed)} inputs: " + "\n".join(failed[:20])


def survives(run: Callable[[], object]) -> None:
    """Call the function; an error that it raises must be one of the input that a person can read."""
    try:
        run()
    except ComposeError as error:
        for one in error.each():
            assert one.exit_code is ExitCode.INPUT_WRONG
            assert one.brief
            text = filtered(error_text.text(one, Style(color=False)))
            text.encode()
            error_text.as_data(one)


@contextmanager
def scratch(content: bytes, name: str) -> Iterator[Path]:
    """A file with the content."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        path = Path(directory) / name
        path.write_bytes(content)
        yield path


# Values that are odd wherever they stand.
ODD: tuple[object, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 10**30, 1e308, -0.0, 0.1, "", " ", "0", "-", "/", "..", "~", "no", "\n", "\t"),
    *(
        "$${",
        "${a}",
        "${",
        "$${a}",
        "\0",
        "\x1b[2J",
        "\u202e",
        "\u2028",
        "\ufeff",
        "\U0001f600",
        "a" * 300,
        "a" * 70000,
    ),
    *("4 GiB", "-1 GiB", "1e999 GiB", "9" * 400, "0x10", "1:1:1", "2020-01-01", "2020-13-45", ".inf", ".nan", "@x"),
    *("a b", "a=b", "a,b", "[", "{", "'", '"', "\\", "%s", "%(a)s", "{0}", "{{ a }}", "http://", "file:///dev/zero"),
    *(
        "http://[",
        "http://a:999999/",
        "10.0.0.0/99",
        "::1/129",
        "*",
        "?",
        "[a-",
        "(a|a)*b",
        "a/../b",
        "/a//b/",
        "\u00b2",
    ),
    *([], {}, [[]], [None], {"": None}, [1, "a", None, {}], {"append": [1]}, {"remove": ["x"], "replace": []}),
)


def odd(source: random.Random) -> object:
    """An odd value, or a list or mapping of some."""
    kind = source.random()
    if kind < 0.85:
        return source.choice(ODD)
    if kind < 0.95:
        return [odd(source) for _ in range(source.randrange(4))]
    return {str(source.choice(ODD))[:20]: odd(source) for _ in range(source.randrange(3))}


def mutated(data: object, source: random.Random, rate: float) -> object:
    """A copy of the data in which some values are replaced, doubled, removed, or put elsewhere."""
    if source.random() < rate:
        return odd(source)
    if isinstance(data, dict):
        items = [(key, mutated(value, source, rate)) for key, value in data.items() if source.random() > rate / 2]
        if items and source.random() < rate:
            items.append((source.choice(items)[0] + source.choice(("s", "x", "", ".")), source.choice(items)[1]))
        return dict(items)
    if isinstance(data, list):
        found = [mutated(value, source, rate) for value in data if source.random() > rate / 2]
        if found and source.random() < rate:
            found += source.choices(found, k=source.choice((1, 2, 50)))
        return found
    return data


# What has a meaning in YAML or in blueprints.
TOKENS = (b"\n", b": ", b"- ", b"{", b"]", b"${", b"&a ", b"*a", b"\t", b"'", b'"', b"!!str ", b"#")


def cut(raw: bytes, others: list[bytes], source: random.Random) -> bytes:
    """The bytes with pieces replaced, removed, doubled or taken from others."""
    tokens = (*TOKENS, b"\r", b"\0", b"\xff")
    for _ in range(source.randint(1, 5)):
        start = source.randint(0, len(raw))
        end = min(len(raw), start + source.randint(0, 12))
        other = source.choice(others)
        at = source.randint(0, len(other))
        piece = source.choice(
            (b"", raw[start:end] * 2, other[at : at + 30], source.choice(tokens), source.randbytes(2))
        )
        raw = raw[:start] + piece + raw[end:]
    return raw
