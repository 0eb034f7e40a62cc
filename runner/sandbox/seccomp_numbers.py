"""The numbers of the system calls that the seccomp filter is about, for each binary interface (ABI) of Linux.

From the kernel's headers: asm/unistd_64.h and the like of each architecture, as Debian's linux-libc-dev and its
linux-libc-dev-*-cross packages install them. Calls newer than Linux 5.1 have the same number everywhere.
"""

import struct
import sys
from dataclasses import dataclass

# "generic" is asm-generic/unistd.h: aarch64, riscv64 and loongarch64. "mips64" is the n64 ABI, whose numbers begin at
# 5000. A dash is a call that the architecture does not have.
_TABLE = """
name                  x86_64 generic     arm    i386  mips64   ppc64   s390x
_sysctl                  156       -     149     149    5152     149     149
acct                     163      89      51      51    5158      51      51
add_key                  248     217     309     286    5239     269     278
bpf                      321     280     386     357    5315     361     351
clock_adjtime            305     266     372     343    5300     347     337
clock_adjtime64            -       -     405     405       -       -       -
clock_settime            227     112     262     264    5221     245     259
clock_settime64            -       -     404     404       -       -       -
clone                     56     220     120     120    5055     120     120
create_module            174       -       -     127    5167     127     127
delete_module            176     106     129     129    5169     129     129
fanotify_init            300     262     367     338    5295     323     332
finit_module             313     273     379     350    5307     353     344
get_kernel_syms          177       -       -     130    5170     130     130
init_module              175     105     128     128    5168     128     128
ioctl                     16      29      54      54    5015      54      54
ioperm                   173       -       -     101       -     101       -
iopl                     172       -       -     110       -     110       -
kcmp                     312     272     378     349    5306     354     343
kexec_file_load          320     294     401       -       -     382     381
kexec_load               246     104     347     283    5270     268     277
keyctl                   250     219     311     288    5241     271     280
lookup_dcookie           212      18     249     253    5206     235     110
migrate_pages            256     238     400     294    5246     258     287
modify_ldt               154       -       -     123       -     123       -
move_pages               279     239     344     317    5267     301     310
nfsservctl               180      42     169     169    5173     168     169
open_by_handle_at        304     265     371     342    5299     346     336
pciconfig_iobase           -       -     271       -       -     200       -
pciconfig_read             -       -     272       -       -     198       -
pciconfig_write            -       -     273       -       -     199       -
perf_event_open          298     241     364     336    5292     319     331
prlimit64                302     261     369     340    5297     325     334
process_vm_readv         310     270     376     347    5304     351     340
process_vm_writev        311     271     377     348    5305     352     341
ptrace                   101     117      26      26    5099      26      26
query_module             178       -       -     167    5171     166     167
quotactl                 179      60     131     131    5172     131     131
reboot                   169     142      88      88    5164      88      88
request_key              249     218     310     287    5240     270     279
rtas                       -       -       -       -       -     255       -
s390_pci_mmio_read         -       -       -       -       -       -     353
s390_pci_mmio_write        -       -       -       -       -       -     352
s390_runtime_instr         -       -       -       -       -       -     342
setns                    308     268     375     346    5303     350     339
setrlimit                160     164      75      75    5155      75      75
settimeofday             164     170      79      79    5159      79      79
socket                    41     198     281     359    5040     326     359
socketpair                53     199     288     360    5052     333     360
spu_create                 -       -       -       -       -     279       -
spu_run                    -       -       -       -       -     278       -
stime                      -       -       -      25       -      25       -
swapoff                  168     225     115     115    5163     115     115
swapon                   167     224      87      87    5162      87      87
syslog                   103     116     103     103    5101     103     103
sysfs                    139       -     135     135    5136     135     135
unshare                  272      97     337     310    5262     282     303
uselib                   134       -      86      86       -      86      86
userfaultfd              323     282     388     374    5317     364     355
ustat                    136       -      62      62    5133      62      62
vhangup                  153      58     111     111    5150     111     111
vm86                       -       -       -     166       -     113       -
vm86old                    -       -       -     113       -       -       -
"""
COMMON = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "open_tree_attr": 467,
}
NEWEST = 469  # file_setattr, Linux 6.17


@dataclass(frozen=True)
class Abi:
    """How programs of an architecture call the kernel.

    name is as in ABIS, audit its number in linux/audit.h, column its numbers in the table, first what is added to the
    numbers that all architectures share. private is the first of its own numbers beyond those, if any; clone_flags is
    which of clone's arguments has the flags. The requests of ioctl and the errors have their names from the headers.
    """

    name: str
    audit: int
    column: str
    big_endian: bool = False
    first: int = 0
    private: int | None = None
    clone_flags: int = 0
    tiocsti: int = 0x5412
    tioclinux: int = 0x541C
    enosys: int = 38
    eprotonosupport: int = 93
    eafnosupport: int = 97

    def number(self, call: str) -> int | None:
        """The number of a system call; None if the architecture does not have it. Raises KeyError for other calls."""
        if call in COMMON:
            return self.first + COMMON[call]
        return _NUMBERS[self.column][call]


def _numbers() -> dict[str, dict[str, int | None]]:
    head, *rows = (line.split() for line in _TABLE.strip().splitlines())
    return {
        column: {row[0]: None if row[place] == "-" else int(row[place]) for row in rows}
        for place, column in enumerate(head)
        if place
    }


_NUMBERS = _numbers()
CALLS = frozenset(_NUMBERS["x86_64"]) | frozenset(COMMON)

# The architectures that Debian has been released for since 2021, by their names in `uname -m` where they have one.
ABIS = {
    abi.name: abi
    for abi in (
        Abi("x86_64", 0xC000003E, "x86_64"),
        Abi("aarch64", 0xC00000B7, "generic"),
        Abi("riscv64", 0xC00000F3, "generic"),
        Abi("loongarch64", 0xC0000102, "generic"),
        Abi("arm", 0x40000028, "arm", private=0xF0000),
        Abi("i386", 0x40000003, "i386"),
        Abi(
            "mips64el",
            0xC0000008,
            "mips64",
            first=5000,
            tiocsti=0x5472,
            tioclinux=0x5483,
            enosys=89,
            eprotonosupport=120,
            eafnosupport=124,
        ),
        Abi("ppc64le", 0xC0000015, "ppc64"),
        Abi("s390x", 0x80000016, "s390x", big_endian=True, clone_flags=1),
    )
}


def abi_of(machine: str, *, bits: int = 8 * struct.calcsize("P"), byteorder: str = sys.byteorder) -> Abi | None:
    """The ABI of programs on a machine named as by `uname -m`; None if it is not known.

    bits is the size of a pointer and byteorder as sys.byteorder: the kernel may be of another ABI than the programs.
    """
    name = machine
    if machine.startswith("arm") or (machine == "aarch64" and bits == 32):
        name = "arm" if byteorder == "little" else ""
    elif machine in ("i386", "i486", "i586", "i686") or (machine == "x86_64" and bits == 32):
        name = "i386"
    elif machine == "mips64":
        name = "mips64el" if bits == 64 and byteorder == "little" else ""
    return ABIS.get(name)
