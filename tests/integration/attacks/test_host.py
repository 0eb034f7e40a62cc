"""Programs in a sandbox that reach for the machine: its settings, devices, kernel, accounts and other processes.

Each attack is tried from every place that code of somebody else runs in. Attacks are such that nothing happens to the
machine if they succeed: a file is opened for writing but not written to, a mode is changed to what it is.
"""

import json
import os
import platform
import pwd
import signal
import socket
import subprocess
import threading

import pytest

from runner.sandbox.seccomp import DENIED, MISSING
from runner.sandbox.seccomp_numbers import abi_of
from tests.integration.attacks.conftest import ALL_CAPABILITIES, REFUSED, Attack, attempt, run_stage
from tests.integration.runner.conftest import Bench


def test_no_setting_of_the_kernel_can_be_changed(attack: Attack) -> None:
    """A core_pattern is a program that the kernel runs as root, outside of every sandbox."""
    opened, changed, watched = attack(
        "opened, changed = [], []\n"
        "for where, directories, names in os.walk('/proc'):\n"
        "    if where == '/proc':\n"
        "        directories[:] = [n for n in directories if not n.isdigit() and n not in ('self', 'thread-self')]\n"
        "    for path in (os.path.join(where, name) for name in names):\n"
        "        if os.path.islink(path): continue\n"
        "        try: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)); opened.append(path)\n"
        "        except OSError: pass\n"
        "        try: os.chmod(path, os.stat(path).st_mode & 0o7777); changed.append(path)\n"
        "        except OSError: pass\n"
        "watched = {}\n"
        "for path in ('sys/kernel/core_pattern', 'sys/kernel/modprobe', 'sys/kernel/hotplug', 'sys/vm/drop_caches',\n"
        "             'sys/kernel/randomize_va_space', 'sys/fs/suid_dumpable', 'sys/kernel/sysrq', 'sysrq-trigger',\n"
        "             'irq/default_smp_affinity'):\n"
        "    watched[path] = outcome(lambda: os.close(os.open('/proc/' + path, os.O_WRONLY)))\n"
        "show([opened, changed, watched])"
    )
    assert set(watched.values()) <= REFUSED, watched
    assert changed == []
    # What remains belongs to the sandbox's own namespaces of network, IPC and processes. Pressure files take a
    # process's own request for notices.
    kernel = ("msg", "sem", "shm", "auto_msgmni", "pid_max", "ns_last_pid")
    own = (*(f"/proc/sys/kernel/{name}" for name in kernel), "/proc/sys/net/", "/proc/sys/fs/mqueue/")
    own += ("/proc/sys/user/", "/proc/pressure/")
    assert [path for path in opened if not path.startswith(own)] == []


def test_the_hosts_network_settings_cannot_be_changed(bench: Bench) -> None:
    """Stages with network share the host's, but have no say in it."""
    code = (
        "paths = [os.path.join(w, n) for w, _, names in os.walk('/proc/sys/net') for n in names]\n"
        "opened = [p for p in paths if outcome(lambda: os.close(os.open(p, os.O_WRONLY))) == 'done']\n"
        "raw = [outcome(socket.socket, f, socket.SOCK_RAW, 1) for f in (socket.AF_INET, socket.AF_INET6)]\n"
        "route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\n"
        "message = struct.pack('=IHHII', 32, 16, 5, 1, 0) + struct.pack('=BxHiII', 0, 0, 1, 0, 0)\n"  # RTM_NEWLINK: lo
        "route.send(message)\n"
        "error = struct.unpack_from('=i', route.recv(4096), 16)[0]\n"
        "show([opened, raw, errno.errorcode.get(-error, error)])"
    )
    opened, raw, route = attempt(bench, "import struct\n" + code, network=True, capabilities=ALL_CAPABILITIES)
    assert opened == []
    assert raw == ["EPERM", "EPERM"]
    assert route == "EPERM"


def test_device_nodes_cannot_be_changed(attack: Attack) -> None:
    """They are the machine's own inodes."""
    nodes = ("null", "zero", "full", "random", "urandom", "tty")
    before = {name: os.stat(f"/dev/{name}") for name in nodes}
    found = attack(
        f"found = {{}}\nfor name in {nodes!r}:\n"
        "    path = '/dev/' + name\n"
        "    now = os.stat(path)\n"
        "    found[name] = [outcome(os.chmod, path, now.st_mode & 0o7777), outcome(os.chown, path, 0, 0),\n"
        "                   outcome(os.utime, path, ns=(now.st_atime_ns, now.st_mtime_ns)),\n"
        "                   outcome(os.utime, path),\n"
        "                   outcome(os.setxattr, path, 'user.mark', b'1'),\n"
        "                   outcome(os.setxattr, path, 'trusted.mark', b'1'),\n"
        "                   outcome(os.setxattr, path, 'security.mark', b'1')]\n"
        "write('/dev/null', b'x')\n"
        "assert read('/dev/zero', 4) == bytes(4) and len(read('/dev/urandom', 4)) == 4\n"
        "show(found)"
    )
    for name, outcomes in found.items():
        assert set(outcomes) <= REFUSED | {"EOPNOTSUPP"}, name
    for name in nodes:
        after = os.stat(f"/dev/{name}")
        assert (after.st_mode, after.st_uid, after.st_gid) == (
            before[name].st_mode,
            before[name].st_uid,
            before[name].st_gid,
        )


def test_nothing_of_the_kernels_memory_or_log_can_be_read(attack: Attack) -> None:
    found, symbols, modules = attack(
        "def content(path):\n"
        "    try: return read(path, 64).decode(errors='replace')\n"
        "    except OSError as error: return errno.errorcode[error.errno]\n"
        "names = ['/proc/kcore', '/proc/timer_list', '/proc/latency_stats', '/proc/kmsg', '/proc/vmallocinfo',\n"
        "         '/proc/slabinfo', '/proc/kpagecount', '/proc/iomem', '/dev/mem', '/dev/kmem', '/dev/port',\n"
        "         '/dev/kmsg', '/dev/cpu_dma_latency', '/proc/keys']\n"
        "def words(path, place):\n"
        "    return {line.split()[place] for line in open(path)} if os.path.exists(path) else set()\n"
        "symbols, modules = words('/proc/kallsyms', 0), words('/proc/modules', -1)\n"
        "show([{n: content(n) for n in names}, sorted(symbols)[-1:], sorted(modules)])"
    )
    secret = {path: text for path, text in found.items() if text not in {*REFUSED, "ENXIO", ""}}
    # Without addresses iomem says what kinds of memory there are.
    assert set(secret) <= {"/proc/iomem"}
    assert "00000000-00000000" in secret.get("/proc/iomem", "00000000-00000000")
    assert all(int(address, 16) == 0 for address in symbols)
    assert all(set(word) <= set("0x()OEF-") for word in modules)


def test_calls_that_reach_the_whole_machine_are_refused(attack: Attack) -> None:
    abi = abi_of(platform.machine())
    if abi is None:
        pytest.skip("there is no filter for this architecture")
    denied = {call: number for call in DENIED if (number := abi.number(call)) is not None}
    missing = {call: number for call in (*MISSING,) if (number := abi.number(call)) is not None}
    missing["newer than all"] = abi.first + 1000
    outcomes = attack(f"show({{n: syscall(c, 0, 0, 0, 0, 0, 0) for n, c in { ({**denied, **missing})!r}.items()}})")
    assert {call for call in denied if outcomes[call] != "EPERM"} == set()
    assert {call for call in missing if outcomes[call] != "ENOSYS"} == set()


def test_priorities_and_limits_cannot_be_raised(attack: Attack) -> None:
    found = attack(
        "import resource\n"
        "number = {'x86_64': 251, 'aarch64': 30}.get(os.uname().machine)\n"
        "limits = [(n, resource.getrlimit(n)[1]) for n in range(15)]\n"
        "raised = []\n"
        "for n, hard in limits:\n"
        "    try:\n"
        "        if hard != -1: resource.setrlimit(n, (hard, hard + 1))\n"
        "    except (OSError, ValueError): pass\n"
        "    if resource.getrlimit(n)[1] != hard: raised.append(n)\n"
        "show({'nice': outcome(os.setpriority, os.PRIO_PROCESS, 0, -20), 'limits': raised,\n"
        "      'fifo': outcome(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),\n"
        "      'real-time i/o': syscall(number, 1, 0, 1 << 13) if number else 'EPERM'})"
    )
    assert found.pop("limits") == []
    assert set(found.values()) <= {"EACCES", "EPERM"}, found


def test_no_socket_reaches_out_of_every_namespace(attack: Attack) -> None:
    """AF_VSOCK reaches the hypervisor, AF_ALG the kernel's crypto, whatever the network namespace."""
    made, audit = attack(
        "made = []\n"
        "for family in range(64):\n"
        "    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):\n"
        "        for protocol in (0, 1, 16):\n"
        "            if libc.socket(family, kind, protocol) >= 0 and family not in made: made.append(family)\n"
        "show([made, [n for n in range(32) if libc.socket(16, 3, n) >= 0]])"
    )
    if platform.machine() in ("i686", "s390x"):
        pytest.skip("socketcall cannot be filtered")
    assert set(made) <= {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    assert {socket.AF_UNIX, socket.AF_INET} <= set(made)
    assert audit == [0]  # NETLINK_ROUTE


def test_file_systems_of_the_kernel_cannot_be_mounted(attack: Attack) -> None:
    mounted, written = attack(
        "mounted = []\n"
        "os.makedirs('/tmp/m', exist_ok=True)\n"
        "for kind in ('sysfs', 'debugfs', 'tracefs', 'securityfs', 'efivarfs', 'configfs', 'devtmpfs', 'pstore',\n"
        "             'selinuxfs', 'smackfs', 'nfsd', 'rpc_pipefs', 'autofs', 'fusectl'):\n"
        "    if libc.mount(kind.encode(), b'/tmp/m', kind.encode(), 0, None) == 0:\n"
        "        mounted.append(kind); libc.umount2(b'/tmp/m', 2)\n"
        "written = []\n"
        "for kind in ('cgroup2', 'proc'):\n"
        "    if libc.mount(kind.encode(), b'/tmp/m', kind.encode(), 0, None) == 0:\n"
        "        for name in ('cgroup.procs', 'cgroup.freeze', 'memory.max', 'cgroup.subtree_control',\n"
        "                     'sys/kernel/core_pattern', 'sysrq-trigger'):\n"
        "            if outcome(lambda: os.close(os.open('/tmp/m/' + name, os.O_WRONLY))) == 'done':\n"
        "                written.append(name)\n"
        "        libc.umount2(b'/tmp/m', 2)\n"
        "show([mounted, written])"
    )
    assert mounted == []
    assert written == []


def test_the_machines_trees_of_files_are_absent(attack: Attack) -> None:
    found = attack(
        "show([[p for p in ('/sys/kernel', '/sys/fs/cgroup', '/dev/mqueue', '/dev/fuse', '/dev/kvm', '/dev/vsock',\n"
        "                   '/dev/vhost-vsock', '/dev/disk', '/dev/loop-control', '/dev/mapper', '/dev/net/tun')\n"
        "       if os.path.exists(p)], os.listdir('/dev/shm'), open('/proc/sysvipc/shm').read().splitlines()[1:]])"
    )
    assert found == [[], [], []]


def test_no_device_can_be_made(attack: Attack) -> None:
    made = attack(
        "show([outcome(os.mknod, '/tmp/node', kind, os.makedev(*number))\n"
        "      for kind, number in ((0o60600, (254, 0)), (0o60600, (8, 0)), (0o20600, (1, 1)), (0o20600, (10, 200)))])"
    )
    assert set(made) == {"EPERM"}


def test_processes_outside_are_out_of_reach(bench: Bench, attack: Attack) -> None:
    with subprocess.Popen(bench.account.argv(["sleep", "600"])) as victim:
        try:
            found = attack(
                f"pid = {victim.pid}\nimport resource\n"
                "show([outcome(os.kill, pid, 9), outcome(resource.prlimit, pid, resource.RLIMIT_NOFILE, (0, 0)),\n"
                "      outcome(os.setpriority, os.PRIO_PROCESS, pid, 19), outcome(os.sched_setaffinity, pid, {0}),\n"
                "      outcome(os.pidfd_open, pid), os.path.exists(f'/proc/{pid}'), outcome(os.killpg, pid, 9)])"
            )
            # An outside process's number may be that of a process inside, but not so high.
            assert found == ["ESRCH", "ESRCH", "ESRCH", "ESRCH", "ESRCH", False, "ESRCH"]
            assert victim.poll() is None
        finally:
            victim.kill()


def test_root_in_the_sandbox_is_nobody_to_services(bench: Bench) -> None:
    """A service that asks who calls (SO_PEERCRED) must not take a stage for the caller or for root."""
    seen: list[int] = []
    name = f"\0osbuild-compose-attack-{os.getpid()}"

    def serve(server: socket.socket) -> None:
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                seen.append(int.from_bytes(credentials[4:8], "little"))

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        server.settimeout(120)
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        claimed = attempt(
            bench,
            "import struct\n"
            "s = socket.socket(socket.AF_UNIX); s.connect('\\0' + options['name'])\n"
            "os.setuid(1000)\n"
            "t = socket.socket(socket.AF_UNIX); t.connect('\\0' + options['name'])\n"
            "claim = [(socket.SOL_SOCKET, 2, struct.pack('=3i', os.getpid(), uid, uid)) for uid in options['ids']]\n"
            "show([outcome(t.sendmsg, [b'x'], [one]) for one in claim])",
            {"name": name[1:], "ids": [65536, 100_000, 70_000]},
            network=True,
            capabilities=ALL_CAPABILITIES,
        )
        thread.join(timeout=120)
    own = pwd.getpwnam(bench.account.name).pw_uid
    known = {entry.pw_uid for entry in pwd.getpwall()} | {own}
    assert len(seen) == 2
    assert not known & set(seen)
    assert set(claimed) <= {"EPERM", "EINVAL"}


def test_nothing_of_the_callers_environment_is_inside(bench: Bench) -> None:
    """Of no process in the sandbox, from its first one on."""
    code = (
        "found = {}\n"
        "for pid in (n for n in os.listdir('/proc') if n.isdigit()):\n"
        "    for name in ('environ', 'cmdline', 'cwd', 'exe', 'root'):\n"
        "        path = f'/proc/{pid}/{name}'\n"
        "        try: found[path] = os.readlink(path) if os.path.islink(path) else open(path, 'rb').read().decode()\n"
        "        except OSError: pass\n"
        "show(found)"
    )
    bench.program("look", f"import json, os\ndef show(value): print(json.dumps(value))\n{code}")
    document = json.dumps({"stages": [{"name": "look"}]})
    argv = [bench.account.python, "-m", "runner", *bench.argv("--json")]
    path = f"/of-the-caller:{os.environ['PATH']}"
    secrets = {"CI_TOKEN": "of-the-caller", "AWS_SECRET": "of-the-caller", "PATH": path}
    done = bench.account.run(argv, input=document, env=secrets)
    assert done.returncode == 0, done.stdout
    found = json.loads(json.loads(done.stdout)["stages"][0]["output"])
    environments = {path: text for path, text in found.items() if path.endswith("environ")}
    assert environments
    assert [path for path, text in found.items() if "of-the-caller" in text or "CI_TOKEN" in text] == []
    assert [text for text in environments.values() if str(bench.account.home) in text] == []
    assert {text for path, text in found.items() if path.endswith("/root")} <= {"/"}


def test_no_process_has_a_descriptor_of_the_runners(attack: Attack) -> None:
    own, others = attack(
        "def links(pid):\n"
        "    found = {}\n"
        "    for name in os.listdir(f'/proc/{pid}/fd'):\n"
        "        try: found[int(name)] = os.readlink(f'/proc/{pid}/fd/{name}')\n"
        "        except OSError: pass\n"
        "    return found\n"
        "own = {fd: to for fd, to in links('self').items() if not to.startswith('/proc/')}\n"
        "others = {}\n"
        "for pid in (n for n in os.listdir('/proc') if n.isdigit() and int(n) != os.getpid()):\n"
        "    try: others[pid] = links(pid)\n"
        "    except OSError: pass\n"
        "show([own, others])"
    )
    harmless = ("pipe:", "/memfd:arguments", "/dev/null", "anon_inode:[eventfd]", "anon_inode:[signalfd]")
    assert set(own) >= {"0", "1", "2"}
    assert len(own) <= 4  # and the progress reports
    assert [to for to in own.values() if not to.startswith(harmless)] == []
    assert [to for links in others.values() for to in links.values() if not to.startswith(harmless)] == []


def test_a_crash_leaves_no_core_dump(attack: Attack) -> None:
    """Of what a core dump handler of the machine would read: outside, as root."""
    found = attack(
        "import resource\n"
        "def crash(limit):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        try: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))\n"
        "        except (OSError, ValueError): pass\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "        os._exit(0)\n"
        "    status = os.waitpid(child, 0)[1]\n"
        "    return os.WTERMSIG(status), os.WCOREDUMP(status)\n"
        "show([crash(limit) for limit in (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_CORE)[1], 0)])"
    )
    assert found == [[signal.SIGSEGV, False]] * 3


def test_user_namespaces_cannot_be_made_by_any_call(attack: Attack) -> None:
    found = attack(
        "def clone(flags):\n"
        "    number = {'x86_64': 56}.get(os.uname().machine, 220)\n"
        "    child = libc.syscall(number, flags | 17, 0, 0, 0, 0)\n"
        "    if child == 0: os._exit(0)\n"
        "    if child > 0: os.waitpid(child, 0)\n"
        "    return 'done' if child > 0 else errno.errorcode[ctypes.get_errno()]\n"
        "show([clone(0x10000000), 'done' if libc.unshare(0x10000000) == 0 else errno.errorcode[ctypes.get_errno()],\n"
        "      syscall(435, ctypes.byref(ctypes.create_string_buffer(88)), 88)])"
    )
    assert found == ["EPERM", "EPERM", "ENOSYS"]


def test_a_failing_stage_is_only_that(bench: Bench) -> None:
    """Killing everything it can is the end of the stage, not of the runner."""
    ran = run_stage(bench, "os.kill(-1, 9)\nos.kill(1, 9)\nos.kill(os.getpid(), 9)", capabilities=ALL_CAPABILITIES)
    assert ran.returncode == 1, ran.stderr
    assert ran.result["error"]["kind"] == "build"
