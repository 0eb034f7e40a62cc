"""The seccomp filter, run by a small interpreter of classic BPF, and its numbers beside those of kernel headers."""

import re
import struct
from pathlib import Path

import pytest

from runner.sandbox import seccomp, seccomp_numbers
from runner.sandbox.seccomp_numbers import ABIS, Abi, abi_of

ALLOW = seccomp.ALLOW
# Where Debian installs the headers of each architecture; loongarch64 has those of aarch64.
HEADERS = {
    "x86_64": ("x86_64-linux-gnu", "unistd_64.h"),
    "aarch64": ("aarch64-linux-gnu", "unistd.h"),
    "riscv64": ("riscv64-linux-gnu", "unistd.h"),
    "arm": ("arm-linux-gnueabihf", "unistd-eabi.h"),
    "i386": ("i686-linux-gnu", "unistd_32.h"),
    "mips64el": ("mips64el-linux-gnuabi64", "unistd_n64.h"),
    "ppc64le": ("powerpc64le-linux-gnu", "unistd_64.h"),
    "s390x": ("s390x-linux-gnu", "unistd_64.h"),
}


def verdict(program: bytes, abi: Abi, call: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter returns for a system call, as the kernel of that architecture lays it out."""
    order = ">" if abi.big_endian else "<"
    values = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack(f"{order}IIQ6Q", call, abi.audit if audit is None else audit, 0, *values)
    code = list(struct.iter_unpack(f"{order}HBBI", program))
    value, at = 0, 0
    tests = {
        seccomp.JUMP_EQUAL: lambda k: value == k,
        seccomp.JUMP_GREATER_EQUAL: lambda k: value >= k,
        seccomp.JUMP_SET: lambda k: bool(value & k),
    }
    while True:
        operation, yes, no, k = code[at]
        at += 1
        if operation == seccomp.RETURN:
            return int(k)
        if operation == seccomp.LOAD:
            value = struct.unpack_from(f"{order}I", data, k)[0]
        else:
            at += yes if tests[operation](k) else no


def number(abi: Abi, call: str) -> int:
    found = abi.number(call)
    assert found is not None
    return found


@pytest.fixture(params=sorted(ABIS))
def abi(request: pytest.FixtureRequest) -> Abi:
    return ABIS[request.param]


@pytest.fixture
def program(abi: Abi) -> bytes:
    return seccomp.program_for(abi)


def test_each_denied_call_is_denied_and_others_are_not(abi: Abi, program: bytes) -> None:
    denied, missing = ({abi.number(call) for call in calls} - {None} for calls in (seccomp.DENIED, seccomp.MISSING))
    checked = {number(abi, call) for call in ("socket", "socketpair")}
    for call in range(abi.first, abi.first + 600):
        expected = (
            seccomp.EPERM
            if call in denied
            else seccomp.ERROR | abi.enosys
            if call in missing or call > abi.first + seccomp_numbers.NEWEST
            else seccomp.ERROR | abi.eafnosupport
            if call in checked
            else ALLOW
        )
        assert verdict(program, abi, call) == expected, call


def test_user_namespaces_are_denied_and_other_namespaces_are_not(abi: Abi, program: bytes) -> None:
    flags = {"clone": 1 if abi.name == "s390x" else 0, "unshare": 0}
    for call, place in flags.items():
        before = [0xFFFFFFFF] * place
        user, other = ([*before, given, 0] for given in (seccomp.CLONE_NEWUSER | 0x20000, 0x20000))
        assert verdict(program, abi, number(abi, call), *user) == seccomp.EPERM
        assert verdict(program, abi, number(abi, call), *other) == ALLOW
    # The upper half of a register is nothing to the kernel, which takes the flags as 32 bits.
    assert verdict(program, abi, number(abi, "unshare"), seccomp.CLONE_NEWUSER | 1 << 40) == seccomp.EPERM
    assert verdict(program, abi, number(abi, "ioctl"), seccomp.CLONE_NEWUSER) == ALLOW


def test_only_common_kinds_of_sockets_can_be_made(abi: Abi, program: bytes) -> None:
    for call in ("socket", "socketpair"):
        made = {kind for kind in range(64) if verdict(program, abi, number(abi, call), kind, 1, 0) == ALLOW}
        assert made == {1, 2, 10, 16}  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
        refused = {verdict(program, abi, number(abi, call), kind, 1, 0) for kind in {*range(64), 1 << 31} - made}
        assert refused == {seccomp.ERROR | abi.eafnosupport}
        netlink = {kind for kind in range(32) if verdict(program, abi, number(abi, call), 16, 3, kind) == ALLOW}
        assert netlink == {seccomp.NETLINK_ROUTE}
        assert verdict(program, abi, number(abi, call), 1 << 32 | 40, 1, 0) == seccomp.ERROR | abi.eafnosupport


def test_nothing_can_be_typed_into_a_terminal(abi: Abi, program: bytes) -> None:
    call = number(abi, "ioctl")
    assert verdict(program, abi, call, 0, abi.tiocsti) == seccomp.EPERM
    assert verdict(program, abi, call, 0, 1 << 32 | abi.tiocsti) == seccomp.EPERM
    assert verdict(program, abi, call, 0, abi.tioclinux) == seccomp.EPERM
    assert verdict(program, abi, call, 0, 0x5401) == ALLOW  # TCGETS


def test_the_limit_of_core_dumps_stays(abi: Abi, program: bytes) -> None:
    core, files, pointer = 4, 7, 0x1_0000_0000
    setting, both = number(abi, "setrlimit"), number(abi, "prlimit64")
    assert verdict(program, abi, setting, core, pointer) == seccomp.NOTHING
    assert verdict(program, abi, setting, files, pointer) == ALLOW
    for new in (pointer, 0xFFFF_0000, pointer | 1):
        assert verdict(program, abi, both, 0, core, new, 0) == seccomp.NOTHING
        assert verdict(program, abi, both, 0, files, new, 0) == ALLOW
    assert verdict(program, abi, both, 0, core, 0, pointer) == ALLOW


def test_other_ways_to_the_same_calls_are_denied(abi: Abi, program: bytes) -> None:
    for other in ABIS.values():
        if other.audit != abi.audit:
            assert verdict(program, abi, 0, audit=other.audit) == seccomp.EPERM
    x86 = ABIS["x86_64"]
    assert verdict(seccomp.program_for(x86), x86, 0 | seccomp.X32_BIT) == seccomp.EPERM


def test_calls_of_arms_c_library_stay(abi: Abi, program: bytes) -> None:
    set_tls = 0xF0005
    assert verdict(program, abi, set_tls) == (ALLOW if abi.name == "arm" else seccomp.ERROR | abi.enosys)


def test_architectures_by_their_names() -> None:
    assert {abi.name for abi in ABIS.values()} == set(ABIS)
    for machine, bits, byteorder, name in (
        ("x86_64", 64, "little", "x86_64"),
        ("x86_64", 32, "little", "i386"),
        ("i686", 32, "little", "i386"),
        ("aarch64", 64, "little", "aarch64"),
        ("aarch64", 32, "little", "arm"),
        ("armv7l", 32, "little", "arm"),
        ("armv6l", 32, "little", "arm"),
        ("ppc64le", 64, "little", "ppc64le"),
        ("s390x", 64, "big", "s390x"),
        ("riscv64", 64, "little", "riscv64"),
        ("loongarch64", 64, "little", "loongarch64"),
        ("mips64", 64, "little", "mips64el"),
    ):
        assert abi_of(machine, bits=bits, byteorder=byteorder) is ABIS[name]
    for machine, bits, byteorder in (("mips64", 64, "big"), ("mips64", 32, "little"), ("sparc64", 64, "big")):
        assert abi_of(machine, bits=bits, byteorder=byteorder) is None


def test_an_unknown_architecture_has_no_filter() -> None:
    assert seccomp.filter_program("sparc64") is None


def test_calls_are_in_one_list_each() -> None:
    known = [*seccomp.DENIED, *seccomp.MISSING, *seccomp.CHECKED]
    assert len(known) == len(set(known))
    assert set(known) == seccomp_numbers.CALLS


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_numbers_are_those_of_the_kernels_headers(name: str) -> None:
    """Those of linux-libc-dev, and of linux-libc-dev-arm64-cross and so on."""
    triplet, file = HEADERS[name]
    places = (Path("/usr/include", triplet, "asm"), Path("/usr", triplet, "include/asm"))
    directory = next((place for place in places if (place / file).exists()), None)
    if directory is None:
        pytest.skip(f"the kernel's headers for {name} are not installed")
    text = (directory / file).read_text()
    for include in ("unistd-common.h", "../asm-generic/unistd.h"):
        if (directory / include).exists() and include.rpartition("/")[2].removesuffix(".h") in text:
            text += (directory / include).read_text()
    abi = ABIS[name]
    found = {
        call: int(value) + abi.first
        for call, value in re.findall(
            r"^#define __NR(?:3264)?_(\w+)\s+\(?(?:__NR_\w+\s*\+\s*)?(\d+)\)?", text, re.MULTILINE
        )
    }
    only_32_bit = {"clock_settime64", "clock_adjtime64"} if abi.column == "generic" else set()
    for call in seccomp_numbers.CALLS - only_32_bit:
        # The headers may be older than a call that has the same number everywhere.
        assert found.get(call, abi.number(call) if call in seccomp_numbers.COMMON else None) == abi.number(call), call
    assert len(found.keys() & seccomp_numbers.CALLS) > 40
