"""Text for terminals is filtered in the stream that it is written to."""

import errno
import json
import os
from pathlib import Path

import pytest

from osbuild_compose.errors import HostError
from osbuild_compose.report import terminal
from osbuild_compose.report.style import Style
from osbuild_compose.report.terminal import SafeStream, escaped_json, filtered, printable
from runner import errors as runner_errors
from runner import terminal as runner_terminal

HIDDEN = [
    *map(chr, (*range(9), *range(11, 32), *range(0x7F, 0xA0))),
    *"\xad\u034f\u061c\u115f\u180e\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\u3164\ufeff\ufff9",
    *"\ud800\udfff\ue000\U000e0001\U000e0041\U000e0100\U000e01ef\U0010fffd",
]
SHOWN = ["a", " ", "\u00e9", "\u20ac", "\u4e2d", "e\u0301", "\U0001f600", "\u2764\ufe0f", "[red]x[/red]", "\\x1b"]


@pytest.mark.parametrize("character", HIDDEN, ids=ascii)
def test_characters_that_control_or_hide(character: str) -> None:
    for shown in (printable(character), filtered(character), runner_errors.printable(character)):
        assert shown == "\ufffd"
    assert runner_terminal.filtered(f"a{character}b") == "a\ufffdb"


@pytest.mark.parametrize("text", SHOWN, ids=ascii)
def test_other_text(text: str) -> None:
    for shown in (printable(text), filtered(text), runner_errors.printable(text), runner_terminal.filtered(text)):
        assert shown == text


def test_lines() -> None:
    assert filtered("a\n\tb\r\n") == "a\n\tb\ufffd\n"
    assert printable("a\n\tb") == "a\ufffd\tb"


def test_only_our_own_colours_pass() -> None:
    red = Style(color=True).red("x\033[31my")
    assert filtered(red) == "\033[1;31mx\ufffd[31my\033[0m"
    assert runner_terminal.filtered(runner_terminal.bold("\033[1m")) == "\033[1m\ufffd[1m\033[0m"
    assert "\033" not in filtered("\033[1m\033[0m\0330123456789abcdef[1m")
    assert terminal.ESCAPE not in (runner_terminal.ESCAPE, "\033")


def test_json_keeps_its_meaning() -> None:
    document = {"a\u202e": ["\x85\U000e0041\u20ac", "\x1b\n"]}
    text = json.dumps(document, ensure_ascii=False, indent=2)
    assert json.loads(escaped_json(text)) == document
    assert filtered(escaped_json(text)) == escaped_json(text)


def test_a_stream(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        out = SafeStream(file.fileno(), "out", "ascii", matters=True)
        print("a\033b\u20ac", file=out)
        terminal.write_json('"\u202e"\n', out)
        terminal.write_document("\u202e\n", out)
        out.writelines(["\033\n"])
        out.flush()
    assert (tmp_path / "out").read_bytes().decode() == 'a\\ufffdb\\u20ac\n"\u202e"\n\u202e\n\\ufffd\n'


@pytest.mark.parametrize("matters", [True, False])
def test_a_stream_that_cannot_be_written(matters: bool) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    out = SafeStream(fd, "standard output", "utf-8", matters=matters)
    if matters:
        print("x", file=out)
        with pytest.raises(HostError, match=os.strerror(errno.ENOSPC)):
            out.flush()
    print("y", file=out, flush=True)  # said once
    os.close(fd)
    of_runner = runner_terminal.SafeStream(os.open("/dev/full", os.O_WRONLY), None)
    print("x", file=of_runner, flush=True)
    with pytest.raises(runner_errors.RunnerError, match="No space left"):
        of_runner.check()
    os.close(of_runner.fileno())
