"""A seccomp filter that denies the system calls that no stage needs, seccomp(2).

Denied are the kernel's keyrings, modules, tracing and probing, its clock and swap, handles that reach files outside of
the sandbox's mounts, other processes' memory and files, typing into the caller's terminal, and new user namespaces,
which would give all capabilities back. Of the kinds of sockets only those that programs of any system use are left:
several others, such as AF_VSOCK and AF_ALG, belong to no network namespace and reach out of every one.

A denied call fails with EPERM, which programs can handle. Some fail with ENOSYS, as on an older kernel, so that the C
library and util-linux use older calls: clone3, whose flags a filter cannot see, the newer ways to mount, and whatever
is newer than this list. A kind of socket fails as on a kernel without it. The limit for core dumps stays as the runner
set it, although changing it seems to succeed: GnuPG and others give up if they can't.

On i386 and s390x the C library makes sockets with socketcall, which passes a pointer that a filter cannot follow: there
every kind of socket can be had.
"""

import os
import struct
from functools import cache

from runner.sandbox.seccomp_numbers import NEWEST, Abi, abi_of

DENIED = (
    "_sysctl", "acct", "add_key", "bpf", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64",
    "create_module", "delete_module", "fanotify_init", "finit_module", "get_kernel_syms", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load",
    "keyctl", "lookup_dcookie", "memfd_secret", "migrate_pages", "modify_ldt", "move_pages", "nfsservctl",
    "open_by_handle_at", "pciconfig_iobase", "pciconfig_read", "pciconfig_write", "perf_event_open", "pidfd_getfd",
    "process_vm_readv", "process_vm_writev", "ptrace", "query_module", "quotactl", "quotactl_fd", "reboot",
    "request_key", "rtas", "s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr", "setns", "settimeofday",
    "spu_create", "spu_run", "stime", "swapoff", "swapon", "syslog", "sysfs", "uselib", "userfaultfd", "ustat",
    "vhangup", "vm86", "vm86old",
)  # fmt: skip
MISSING = (
    "clone3", "fsconfig", "fsmount", "fsopen", "fspick", "mount_setattr", "move_mount", "open_tree", "open_tree_attr",
)  # fmt: skip
# Calls whose arguments decide, and which of them.
CHECKED = {
    "clone": "flags of clone",
    "unshare": "flags",
    "socket": "family",
    "socketpair": "family",
    "ioctl": "request",
    "prlimit64": "limit of prlimit64",
    "setrlimit": "limit",
}
CLONE_NEWUSER = 0x10000000  # linux/sched.h
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16  # linux/socket.h
FAMILIES = (AF_UNIX, AF_INET, AF_INET6)  # and the part of AF_NETLINK below
NETLINK_ROUTE = 0  # linux/netlink.h: addresses and routes, which name resolution asks for
RLIMIT_CORE = 4  # asm/resource.h
X32_BIT = 0x40000000  # x86_64's other numbering of the same calls

# linux/bpf_common.h, linux/seccomp.h
LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
ALLOW, ERROR = 0x7FFF0000, 0x00050000
EPERM = ERROR | 1
NOTHING = ERROR | 0  # the call returns success without being made


class _Program:
    """Instructions of classic BPF with jumps to named places, which must be further on."""

    def __init__(self, abi: Abi) -> None:
        self.abi = abi
        self._code: list[tuple[int, str, str, int]] = []
        self._places: dict[str, int] = {}

    def load(self, offset: int) -> None:
        self._code.append((LOAD, "", "", offset))

    def load_argument(self, place: int, *, high: bool = False) -> None:
        """Load the low half of an argument of the call, counted from 0: flags and the like are 32 bits wide.

        high is for the other half, of a pointer.
        """
        self.load(ARGUMENTS + 8 * place + (4 if high != self.abi.big_endian else 0))

    def jump(self, test: int, value: int, yes: str = "", no: str = "") -> None:
        """Go on at the place `yes` or `no`; "" is the next instruction."""
        self._code.append((test, yes, no, value))

    def jump_if_call(self, call: str, yes: str) -> None:
        """The same if the number that was loaded is that of a system call, which the architecture may not have."""
        number = self.abi.number(call)
        if number is not None:
            self.jump(JUMP_EQUAL, number, yes=yes)

    def result(self, value: int, *, place: str = "") -> None:
        """What the filter answers, at a place with a name."""
        self.place(place)
        self._code.append((RETURN, "", "", value))

    def place(self, name: str) -> None:
        """Name the next instruction."""
        if name:
            self._places[name] = len(self._code)

    def bytes(self) -> bytes:
        """An array of struct sock_filter, in the byte order of the ABI."""
        order = ">" if self.abi.big_endian else "<"
        packed = b""
        for at, (operation, yes, no, value) in enumerate(self._code):
            jumps = [self._places[name] - at - 1 if name else 0 for name in (yes, no)]
            packed += struct.pack(f"{order}HBBI", operation, *jumps, value)
        return packed


@cache
def filter_program(machine: str | None = None) -> bytes | None:
    """The filter as an array of struct sock_filter, for this machine or the one named as by `uname -m`.

    None if the architecture is not in seccomp_numbers: then there is no filter.
    """
    abi = abi_of(machine or os.uname().machine)
    return None if abi is None else program_for(abi)


def program_for(abi: Abi) -> bytes:
    """The filter of an ABI as an array of struct sock_filter."""
    program = _Program(abi)
    program.load(ARCHITECTURE)
    program.jump(JUMP_EQUAL, abi.audit, no="denied")  # the numbers of another architecture mean other calls
    program.load(NUMBER)
    if abi.name == "x86_64":
        program.jump(JUMP_GREATER_EQUAL, X32_BIT, yes="denied")
    if abi.private is not None:
        program.jump(JUMP_GREATER_EQUAL, abi.private, yes="allowed")
    program.jump(JUMP_GREATER_EQUAL, abi.first + NEWEST + 1, yes="missing")
    for calls, place in ((DENIED, "denied"), (MISSING, "missing")):
        for call in calls:
            program.jump_if_call(call, place)
    for call, place in CHECKED.items():
        program.jump_if_call(call, place)
    program.result(ALLOW)
    for place, argument in (("flags of clone", abi.clone_flags), ("flags", 0)):
        program.place(place)
        program.load_argument(argument)
        program.jump(JUMP_SET, CLONE_NEWUSER, "denied", "allowed")
    program.place("family")
    program.load_argument(0)
    program.jump(JUMP_EQUAL, AF_NETLINK, yes="netlink")
    for family in FAMILIES:
        program.jump(JUMP_EQUAL, family, yes="allowed")
    program.result(ERROR | abi.eafnosupport)
    program.place("netlink")
    program.load_argument(2)
    program.jump(JUMP_EQUAL, NETLINK_ROUTE, yes="allowed")
    program.result(ERROR | abi.eprotonosupport)
    program.place("request")
    program.load_argument(1)
    program.jump(JUMP_EQUAL, abi.tiocsti, yes="denied")
    program.jump(JUMP_EQUAL, abi.tioclinux, yes="denied")
    program.result(ALLOW)
    program.place("limit")
    program.load_argument(0)
    program.jump(JUMP_EQUAL, RLIMIT_CORE, "nothing", "allowed")
    program.place("limit of prlimit64")
    program.load_argument(1)
    program.jump(JUMP_EQUAL, RLIMIT_CORE, no="allowed")
    for high in (False, True):  # with a null pointer it only asks
        program.load_argument(2, high=high)
        program.jump(JUMP_EQUAL, 0, no="nothing")
    program.result(ALLOW, place="allowed")
    program.result(NOTHING, place="nothing")
    program.result(EPERM, place="denied")
    program.result(ERROR | abi.enosys, place="missing")
    return program.bytes()
