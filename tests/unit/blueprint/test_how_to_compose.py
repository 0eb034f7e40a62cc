"""Follows the how-to about composing blueprints step by step."""

import re
import textwrap
from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.document.composition import annotated
from osbuild_compose.document.composition.layering import Choices
from osbuild_compose.document.schema import schema_files

PAGE = (Path(__file__).resolve().parents[3] / "docs/how-to/compose-blueprints.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}


def blocks(section: str) -> list[str]:
    """The code of a section."""
    return [textwrap.dedent(block) for block in re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", SECTIONS[section])]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks("Share what is common")[:1]:
        for name, content in re.findall(r"(?ms)^# (\S+\.yaml)\n(.*?)(?=^# \S+\.yaml|\Z)", block):
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(content)
    Path("common/motd").write_text("welcome\n")


def add(text: str) -> None:
    path = Path("web.yaml")
    for key in re.findall(r"(?m)^(\w+):", text):  # what the step says anew
        path.write_text(re.sub(rf"(?m)^{key}:.*\n(?:[ -].*\n)*", "", path.read_text()))
    path.write_text(path.read_text() + text)


def test_share_what_is_common() -> None:
    blueprint = load.load(Path("web.yaml"), ["debian-12"])
    assert blueprint.packages == ("openssh-server", "sudo", "nano", "nginx")
    assert blueprint.files[0].content == "welcome\n"
    assert blueprint.document is not None
    lines = [
        re.sub("  +", " ", line)
        for line in annotated.text(blueprint.document, schema_files.load("blueprint")).splitlines()
    ]
    shown = blocks("Share what is common")[1].strip().splitlines()
    assert shown[0] == "$ compose render --resolved web.yaml"
    for line in shown[1:-1]:
        assert re.sub("  +", " ", line) in lines


def test_take_something_out() -> None:
    add(blocks("Take something out, or change it")[0])
    blueprint = load.load(Path("web.yaml"), ["debian-12"])
    assert blueprint.packages == ("openssh-server", "sudo", "vim-tiny")
    assert [output.format for output in blueprint.formats] == [Format.RAW]
    assert (blueprint.users[0].shell, blueprint.users[0].groups) == ("/bin/bash", ("sudo", "adm"))
    assert blueprint.timezone is None


def test_variants_and_single_values() -> None:
    add(blocks("Variants of one machine")[0])
    blueprint = load.load(Path("web.yaml"), ["debian-12"], Choices(profiles=["dev", "ci"]))
    assert "gdb" in blueprint.packages
    assert blueprint.kernel.append == "console=ttyS0"
    assert [output.format for output in blueprint.formats] == [Format.RAW]
    command = "".join(blocks("Override a single value")).replace("\\\n", "")
    settings = [quoted or plain for quoted, plain in re.findall(r"--set (?:'([^']*)'|(\S+))", command)]
    assert len(settings) == 4
    changed = load.load(Path("web.yaml"), ["debian-12"], Choices(settings))
    assert changed.disk.size == 8 * 1024**3
    assert (changed.files[0].mode, changed.users[0].shell) == ("0600", "/bin/sh")
    assert changed.packages[-1] == "gdb"


def test_leave_a_blank_to_fill_in() -> None:
    (block,) = blocks("Leave a blank to fill in")
    base, web = re.findall(r"(?m)^(vars: .*)$", block)
    hostname = re.search(r"(?m)^hostname: .*$", block)
    assert hostname
    path = Path("common/base.yaml")
    path.write_text(f"{path.read_text()}{base}\n{hostname[0]}\n")
    add("hostname: x\n")
    Path("web.yaml").write_text(Path("web.yaml").read_text().replace("hostname: x\n", f"{web}\n"))
    assert load.load(Path("web.yaml"), ["debian-12"]).hostname == "www.example.com"
    (given,) = re.findall(r"--var (\S+)`", SECTIONS["Leave a blank to fill in"])
    assert load.load(Path("web.yaml"), ["debian-12"], Choices(variables=[given])).hostname == "www.example.net"
