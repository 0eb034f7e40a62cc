"""A seccomp filter that denies the system calls that no stage needs, seccomp(2).

Denied are the kernel's keyrings, modules, tracing and probing, its clock and swap, handles that reach files outside of
the sandbox's mounts, and new user namespaces, which would give all capabilities back. A denied call fails with EPERM,
which programs can handle; clone3 fails with ENOSYS, so that the C library uses clone.
"""

import platform
import struct

# Name: number on x86_64, number on aarch64 (None where the architecture lacks it); from the kernel's unistd.h.
DENIED: dict[str, tuple[int, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "move_pages": (279, 239),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
}
CLONE = (56, 220)
CLONE3 = (435, 435)
UNSHARE = (272, 97)
CLONE_NEWUSER = 0x10000000

# linux/audit.h; the column of the tables above.
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
X32_BIT = 0x40000000  # x86_64's other numbering of the same calls

# linux/bpf_common.h, linux/seccomp.h
LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the low half of a little-endian word
ALLOW = 0x7FFF0000
EPERM = 0x00050000 | 1
ENOSYS = 0x00050000 | 38


def filter_program(machine: str | None = None) -> bytes | None:
    """The filter as an array of struct sock_filter, for this machine or the one named as by `uname -m`.

    None if the architecture is unknown: then there is no filter.
    """
    known = ARCHITECTURES.get(machine or platform.machine())
    if known is None:
        return None
    audit, column = known
    denied = sorted(number for numbers in DENIED.values() if (number := numbers[column]) is not None)
    code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, audit),
        (RETURN, 0, 0, EPERM),  # the numbers of another architecture mean other calls
        (LOAD, 0, 0, NUMBER),
        (JUMP_GREATER_EQUAL, 0, 1, X32_BIT),
        (RETURN, 0, 0, EPERM),
        (JUMP_EQUAL, 0, 1, CLONE3[column]),
        (RETURN, 0, 0, ENOSYS),
    ]
    for number in denied:
        code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, EPERM)]
    code += [
        (JUMP_EQUAL, 1, 0, CLONE[column]),
        (JUMP_EQUAL, 0, 3, UNSHARE[column]),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_SET, 0, 1, CLONE_NEWUSER),
        (RETURN, 0, 0, EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
