"""What facts about a machine mean for builds: a pure function."""

from collections.abc import Iterator
from dataclasses import dataclass

from runner import tools
from runner.machine.facts import Facts
from runner.machine.finding import Finding, State
from runner.sandbox import sysctls
from runner.sandbox.limits import NEEDED
from runner.store.scratch_place import GIB, MEMORY_FOR_TMPFS
from runner.tools import NO_BUILDS, TOOLS, Family, Tool

ROOM_FOR_A_BUILD = 5 * GIB  # bytes: packages, layers and the image of a server


@dataclass(frozen=True)
class Least:
    """The least version of a program that is right, and what an older one costs."""

    version: str
    state: State
    cost: str
    mend: str


LEAST = {
    "python3": Least(
        "3.11",
        State.BLOCKING,
        NO_BUILDS,
        "stages run with /usr/bin/python3: build on a newer release, such as Debian 12, Ubuntu 24.04 or Fedora",
    ),
    "mke2fs": Least(
        "1.47.1",
        State.LACKING,
        "slower: the times in ext4 file systems are corrected afterwards, so that they are the same each time",
        "install a newer e2fsprogs, or have another release's programs build: build_environment: {from: debian-13}",
    ),
}


def judge(facts: Facts) -> list[Finding]:
    """What the machine has and lacks, as far as facts alone say."""
    return [*_settings(facts), *(_tool(tool, facts) for tool in TOOLS), _memory(facts), _space(facts)]


def _settings(facts: Facts) -> Iterator[Finding]:
    forbidding = sysctls.forbidding(facts.settings, is_root=facts.is_root)
    for setting in sysctls.SETTINGS:
        if setting.name not in facts.settings:
            continue
        value = str(facts.settings[setting.name])
        if setting in forbidding:
            yield Finding(setting.name, State.BLOCKING, value, NO_BUILDS, sysctls.command([setting]))
        elif setting.allows(facts.settings[setting.name]):
            yield Finding(setting.name, State.OK, value)
        else:
            yield Finding(setting.name, State.OK, f"{value}, which does not bind root")


def _tool(tool: Tool, facts: Facts) -> Finding:
    name = tool.name.partition("|")[0]
    version = facts.versions.get(tool.name)
    if version is None:
        family = tools.family(facts.os_release)
        package = {Family.DEB: tool.package.deb, Family.RPM: tool.package.rpm}.get(family, "")
        state = State.BLOCKING if tool.needed else State.LACKING
        return Finding(name, state, "not installed", tool.cost, tools.install([tool.package], family), package)
    least = LEAST.get(name)
    if version and least and _numbers(version) < _numbers(least.version):
        return Finding(name, least.state, f"{version}, older than {least.version}", least.cost, least.mend)
    return Finding(name, State.OK, version or "installed")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _memory(facts: Facts) -> Finding:
    detail = f"{facts.room / GIB:.1f} GiB for trees at work"
    if facts.room >= MEMORY_FOR_TMPFS:
        return Finding("memory", State.OK, detail)
    return Finding(
        "memory",
        State.LACKING,
        detail,
        "slower: trees are worked on in the store's directory instead of in memory",
        f"have {MEMORY_FOR_TMPFS // GIB} GiB of memory and as much of /dev/shm free",
    )


def _space(facts: Facts) -> Finding:
    detail = f"{facts.free / GIB:.1f} GiB free for the store {facts.store}"
    mend = "free space there, or choose another place: --store"
    if not facts.writable:
        return Finding(
            "space",
            State.BLOCKING,
            f"this user cannot write to the store {facts.store}",
            NO_BUILDS,
            "choose another place: --store",
        )
    if facts.free < NEEDED:
        return Finding("space", State.BLOCKING, detail, NO_BUILDS, mend)
    if facts.free < ROOM_FOR_A_BUILD:
        cost = f"builds may run out of space: one takes up to {ROOM_FOR_A_BUILD // GIB} GiB"
        return Finding("space", State.LACKING, detail, cost, mend)
    return Finding("space", State.OK, detail)
