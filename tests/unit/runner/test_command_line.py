"""The runner's options."""

import pytest

from runner.__main__ import parser
from runner.machine.__main__ import parser as machine_parser
from runner.store.__main__ import parser as store_parser


@pytest.mark.parametrize(
    "argv", [["--cache", "4G", "p.json"], ["--monitor", "3", "p.json"], ["--out", "d", "p.json"], ["--js", "p.json"]]
)
def test_options_cannot_be_abbreviated(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Abbreviations would take osbuild's --cache DIRECTORY for --cache-size, and --monitor NAME for --monitor-fd."""
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(argv)
    assert caught.value.code == 2
    assert f"unrecognized arguments: {argv[0]}" in capsys.readouterr().err


def test_options_of_the_stores_commands_cannot_be_abbreviated() -> None:
    for argv in (["--stor", "d", "ls"], ["prune", "--kee", "1G"]):
        with pytest.raises(SystemExit):
            store_parser().parse_args(argv)
    with pytest.raises(SystemExit):
        machine_parser().parse_args(["--stor", "d"])
