"""What facts about a machine mean for builds, and the table of programs and packages behind that."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from stagelib.disk import tools as assemblers_tools

from osbuild_compose.inspecting import tools as inspecting_tools
from runner import tools
from runner.machine.facts import Facts, existing, version_in
from runner.machine.finding import Finding, State
from runner.machine.judge import judge
from runner.sandbox import sysctls
from runner.store.scratch_place import GIB
from runner.tools import TOOLS, Family, Package
from tests.conftest import REPO

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n'
FEDORA = 'NAME="Fedora Linux"\nID=fedora\n'
GOOD = Facts(
    os_release=DEBIAN,
    is_root=False,
    writable=True,
    versions={tool.name: "9.9.9" for tool in TOOLS},
    settings={"user.max_user_namespaces": 96365, "kernel.unprivileged_userns_clone": 1},
    store=Path("/store"),
    free=20 * GIB,
    room=8 * GIB,
)


def lacking(facts: Facts) -> list[Finding]:
    return [finding for finding in judge(facts) if finding.state is not State.OK]


def without(*names: str) -> Facts:
    return replace(GOOD, versions={name: version for name, version in GOOD.versions.items() if name not in names})


def test_a_good_machine_lacks_nothing() -> None:
    assert lacking(GOOD) == []
    assert {finding.detail for finding in judge(GOOD) if finding.name == "mke2fs"} == {"9.9.9"}


def test_without_bubblewrap_nothing_can_be_built() -> None:
    (finding,) = lacking(without("bwrap"))
    assert finding == Finding(
        "bwrap",
        State.BLOCKING,
        "not installed",
        "builds are not possible",
        "apt install bubblewrap",
        "bubblewrap",
    )


@pytest.mark.parametrize(
    ("os_release", "mend", "package"),
    [
        (DEBIAN, "apt install qemu-utils", "qemu-utils"),
        (FEDORA, "dnf install qemu-img", "qemu-img"),
        ("ID=arch\n", "apt install qemu-utils (Debian) or dnf install qemu-img (Fedora)", ""),
    ],
)
def test_a_missing_tool_has_the_package_of_this_system(os_release: str, mend: str, package: str) -> None:
    (finding,) = lacking(replace(without("qemu-img"), os_release=os_release))
    assert (finding.state, finding.mend, finding.package) == (State.LACKING, mend, package)
    assert finding.cost == "no images of disks, such as qcow2"


@pytest.mark.parametrize(("version", "lacks"), [("1.47.0", True), ("1.47.1", False), ("1.48", False), ("", False)])
def test_an_old_mke2fs_is_slower(version: str, lacks: bool) -> None:
    found = lacking(replace(GOOD, versions={**GOOD.versions, "mke2fs": version}))
    assert [finding.cost.partition(":")[0] for finding in found] == (["slower"] if lacks else [])


def test_stages_need_the_systems_python_to_be_new_enough() -> None:
    (finding,) = lacking(replace(GOOD, versions={**GOOD.versions, "python3": "3.10.12"}))
    assert (finding.name, finding.state, finding.detail) == ("python3", State.BLOCKING, "3.10.12, older than 3.11")
    assert lacking(replace(GOOD, versions={**GOOD.versions, "python3": "3.11.2"})) == []


@pytest.mark.parametrize(
    ("name", "value", "for_root"),
    [
        ("user.max_user_namespaces", 0, True),
        ("kernel.unprivileged_userns_clone", 0, False),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, False),
    ],
)
def test_a_setting_that_forbids_namespaces_blocks_those_whom_it_binds(name: str, value: int, for_root: bool) -> None:
    settings = {**GOOD.settings, name: value}
    (finding,) = lacking(replace(GOOD, settings=settings))
    assert (finding.name, finding.state, finding.detail) == (name, State.BLOCKING, str(value))
    assert finding.mend.startswith(f"as root: sysctl {name}=")
    assert bool(lacking(replace(GOOD, settings=settings, is_root=True))) == for_root


def test_settings_are_read_where_the_kernel_has_them(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/max_user_namespaces").write_text("2\n")
    found = sysctls.values(tmp_path)
    assert found == {"user.max_user_namespaces": 2}
    forbidding = sysctls.forbidding({**found, "kernel.unprivileged_userns_clone": 0}, is_root=False)
    command = "as root: sysctl user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"
    assert sysctls.command(forbidding) == command


def test_memory_and_space() -> None:
    (memory,) = lacking(replace(GOOD, room=GIB))
    assert memory.state is State.LACKING
    assert memory.detail == "1.0 GiB for trees at work"
    (few,) = lacking(replace(GOOD, free=GIB))
    assert few.state is State.LACKING
    for facts in (replace(GOOD, free=1000), replace(GOOD, writable=False)):
        (finding,) = lacking(facts)
        assert finding.state is State.BLOCKING


def test_a_store_that_is_not_there_yet_is_on_the_file_system_above(tmp_path: Path) -> None:
    assert existing(tmp_path / "a/b") == tmp_path
    assert existing(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("bubblewrap 0.8.0\n", "0.8.0"),
        ("mke2fs 1.47.0 (5-Feb-2023)\n", "1.47.0"),
        ("mkfs.btrfs, part of btrfs-progs v6.2\n", "6.2"),
        ("*** Zstandard CLI (64-bit) v1.5.4, by Yann Collet ***", "1.5.4"),
        ("grub-mkimage (GRUB) 2.06-13+deb12u2", "2.06"),
        ("usage: nothing", ""),
    ],
)
def test_versions_are_found_in_what_programs_print(printed: str, version: str) -> None:
    assert version_in(printed) == version


@pytest.mark.parametrize(
    ("os_release", "family"),
    [
        (DEBIAN, Family.DEB),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", Family.DEB),
        (FEDORA, Family.RPM),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', Family.RPM),
        ("ID=arch\n", Family.OTHER),
        ("", Family.OTHER),
    ],
)
def test_the_family_of_a_system(os_release: str, family: Family) -> None:
    assert tools.family(os_release) is family


def test_the_name_of_a_system() -> None:
    assert tools.system_name(DEBIAN) == "Debian GNU/Linux 13 (trixie)"
    assert tools.system_name(FEDORA) == "Fedora Linux"


def packages() -> dict[str, Package]:
    """The packages of each program in the table, its alternatives too."""
    return {name: tool.package for tool in TOOLS for name in tool.name.split("|")}


@pytest.mark.parametrize("other", [assemblers_tools.PACKAGES, inspecting_tools.PACKAGES], ids=["images", "inspect"])
def test_the_tables_of_packages_agree(other: dict[str, tuple[str, str]]) -> None:
    common = packages().keys() & other.keys()
    assert len(common) > 5
    assert {name: packages()[name] for name in common} == {name: Package(*other[name]) for name in common}


def test_the_tools_of_stages_and_assemblers_are_in_the_table() -> None:
    needed = {
        name: Package.of(names)
        for kind in ("stages", "assemblers")
        for path in (REPO / kind).glob("*.meta.json")
        for alternatives, names in json.loads(path.read_text()).get("tools", {}).items()
        for name in alternatives.split("|")
    }
    del needed["rpmkeys"]  # a part of rpm
    assert needed.items() <= packages().items()


def test_make_installs_what_builds_need() -> None:
    makefile = (REPO / "Makefile").read_text()
    for family in ("APT", "DNF"):
        words = {word for line in makefile.splitlines() if line.startswith(f"{family}_") for word in line.split()}
        names = {tool.package.deb if family == "APT" else tool.package.rpm for tool in TOOLS}
        assert names - words <= {"util-linux", "python3", "rpm", "dnf"}, family
