"""Scripts of Debian packages against the stage that installs them, and trees that they leave behind."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.apt_repository import Contents, Key, Repository, served
from tests.integration.attacks.conftest import debian_tree, packages
from tests.integration.runner.conftest import Bench, Ran

APT = "org.osbuild-compose.apt"
DOWNLOADS = "/run/osbuild/downloads"
LATER = {"Pre-Depends": "evil"}  # so that dpkg is called once more after the scripts of `evil`

# Symlinks to the shared downloads at every place that the stage might write to, and in place of its directories.
LINKS = f"""#!/bin/sh
for name in ischroot update-initramfs update-ca-certificates evil.deb later.deb status calls; do
  for place in /run/osbuild-compose /run/osbuild-compose/calls /run/osbuild-compose/stubs /tmp /var/tmp /run; do
    rm -rf $place/$name
    ln -s {DOWNLOADS}/owned $place/$name
    ln -s {DOWNLOADS}/owned $place/$name.real
  done
done 2> /dev/null
rm -rf /run/osbuild-compose/calls /run/osbuild-compose/archives 2> /dev/null
ln -s {DOWNLOADS} /run/osbuild-compose/calls 2> /dev/null
for home in $(sed -n 's|.* \\(/tmp/compose-apt-[^/]*\\)/.*|\\1|p' /proc/self/mountinfo); do
  ln -sf {DOWNLOADS}/owned $home/apt/dpkg 2> /dev/null
done
rm -rf /var/lib/apt /var/cache/apt /var/log/apt /etc/ssh
ln -s {DOWNLOADS} /var/lib/apt
ln -s {DOWNLOADS} /var/cache/apt
ln -s {DOWNLOADS} /var/log/apt
ln -s {DOWNLOADS} /etc/ssh
ln -sf {DOWNLOADS}/owned /etc/machine-id
ln -sf {DOWNLOADS}/owned /usr/sbin/policy-rc.d
ln -sf {DOWNLOADS}/owned /etc/hostname
ln -sf {DOWNLOADS}/owned /etc/hosts
ln -sf /run/osbuild-compose/archives /etc/resolv.conf
exit 0
"""
# FIFOs, an endless file and loops at every place that the stage reads. (A script that makes dpkg itself wait, or waits
# itself, is ended by the runner's time limit.)
TRAPS = """#!/bin/sh
mkdir -p /var/lib/apt /var/lib/dpkg/updates /var/log/apt
for path in /var/lib/apt/extended_states /etc/machine-id /var/log/apt/history.log \\
  /usr/sbin/policy-rc.d /etc/ssh/ssh_host_rsa_key /etc/passwd- /var/cache/apt/x.bin \\
  /etc/hostname /etc/hosts /etc/resolv.conf; do
  rm -rf $path
  mkdir -p ${path%/*}
  mkfifo $path
done
truncate -s 8E /var/lib/dpkg/status-old 2> /dev/null
ln -sf loop /etc/loop
exit 0
"""


def install(bench: Bench, place: Path, what: dict[str, Contents]) -> Ran:
    """Install these packages into a minimal Debian."""
    with packages(place, what) as options:
        return bench.run(debian_tree(), (APT, options))


def assert_told(ran: Ran) -> None:
    """It ended as a build does: well, or with an error that a person can read."""
    printed = json.dumps(ran.result) + ran.stderr
    assert ran.returncode in (0, 1), printed
    assert "Traceback" not in printed


def found_outside(bench: Bench) -> list[str]:
    """What scripts have put into the store's downloads, which stages share."""
    argv = ["find", bench.store / "downloads", "-not", "-path", "*/apt-lists/*", "-not", "-type", "d"]
    names = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if len(Path(name).name) != 64 and not name.endswith((".lock", ".json"))]


def test_links_left_for_the_stage_lead_nowhere(shared_bench: Bench, tmp_path: Path) -> None:
    evil = Contents({}, {"usr/share/evil": "x"}, {"postinst": LINKS})
    later = Contents(LATER, {"usr/share/later": "x"}, {"postinst": "#!/bin/sh\nexit 0\n"})
    ran = install(shared_bench, tmp_path, {"evil": evil, "later": later})
    assert_told(ran)
    assert found_outside(shared_bench) == []


def test_fifos_and_endless_files_stop_nothing(shared_bench: Bench, tmp_path: Path) -> None:
    evil = Contents({}, {"usr/share/evil": "x"}, {"postinst": TRAPS})
    later = Contents(LATER, {"usr/share/later": "x"})
    ran = install(shared_bench, tmp_path, {"evil": evil, "later": later})
    assert_told(ran)


def test_a_script_has_no_power_and_sees_nothing_of_the_stage(shared_bench: Bench, tmp_path: Path) -> None:
    script = """#!/bin/sh
say() { echo "SEEN $*"; }
for path in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /usr/bin/ischroot \\
  /run/osbuild-compose/archives/x /run/osbuild-compose/x.real; do
  (echo x > $path) 2> /dev/null && case $path in */x.real) ;; *) say wrote $path ;; esac
done
rm -f /usr/bin/ischroot 2> /dev/null && say removed
mount -t tmpfs x /mnt 2> /dev/null && say mounted
mknod /disk b 8 0 2> /dev/null && say made a device
unshare --user true 2> /dev/null && say unshared
kill -0 $(($$ + 100000)) 2> /dev/null && say signalled
ls -l /proc/[0-9]*/fd 2> /dev/null | sed -n 's/.* -> //p' | grep '/run/osbuild/\\|compose-apt' && say descriptor
grep -v lo: /proc/net/dev | grep : && say interface
for one in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $one | grep stages/ && say process $one; done
test -e /run/osbuild/tree && say tree
exit 0
"""
    ran = install(shared_bench, tmp_path, {"evil": Contents({}, {"usr/share/evil": "x"}, {"postinst": script})})
    assert ran.returncode == 0, json.dumps(ran.result) + ran.stderr
    assert [line for line in ran.output().splitlines() if line.startswith("SEEN")] == []


def test_processes_end_with_their_package(shared_bench: Bench, tmp_path: Path) -> None:
    script = "#!/bin/sh\nsetsid sleep 31536123 > /dev/null 2>&1 < /dev/null &\nexit 0\n"
    ran = install(shared_bench, tmp_path, {"evil": Contents({}, {"usr/share/evil": "x"}, {"postinst": script})})
    assert ran.returncode == 0, json.dumps(ran.result) + ran.stderr
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert [line for line in running if b"31536123" in line] == []


def test_reports_are_bounded(shared_bench: Bench, tmp_path: Path) -> None:
    real = "#!/bin/sh\nexit 0\n"
    script = "#!/bin/sh\nhead -c 5000000 /dev/zero > /run/osbuild-compose/calls/update-initramfs\nexit 0\n"
    maker = Contents({}, {"usr/sbin/update-initramfs": real}, {}, "chmod 755 usr/sbin/update-initramfs")
    evil = Contents({"Pre-Depends": "maker"}, {"usr/share/evil": "x"}, {"postinst": script})
    ran = install(shared_bench, tmp_path, {"maker": maker, "evil": evil})
    assert ran.returncode == 1
    assert "reported more than" in ran.output()
    assert_told(ran)


def test_what_is_unpacked_into_an_empty_tree_leads_nowhere(shared_bench: Bench, tmp_path: Path) -> None:
    """Before any script runs, and after those of Essential packages, which stages append to."""
    script = (
        f"#!/bin/sh\nrm -f /var/lib/dpkg/triggers/Unincorp\nln -s {DOWNLOADS}/owned /var/lib/dpkg/triggers/Unincorp\n"
    )
    first = Contents({"Essential": "yes", "Depends": "dpkg"}, {"usr/share/evil": "x"}, {"postinst": script})
    link = f"mkdir -p var/lib/dpkg etc\nln -s {DOWNLOADS} var/lib/dpkg/alternatives\nln -s {DOWNLOADS} etc/ssh\n"
    second = Contents({"Essential": "yes"}, {"usr/share/planted": "x" * 3_000_000}, {}, link)
    name, base = debian_tree()
    with packages(tmp_path, {"evil": first, "planted": second}) as mine:
        both = {**base, "repositories": [*base["repositories"], *mine["repositories"]]}
        ran = shared_bench.run((name, {**both, "packages": [*base["packages"], "evil", "planted"]}))
    assert_told(ran)
    assert found_outside(shared_bench) == []


def test_damaged_packages_are_told_by_their_names(shared_bench: Bench, tmp_path: Path) -> None:
    """Their digests are those of the signed index: they are damaged in the repository."""
    repository = Repository(tmp_path / "repository", Key(tmp_path / "key"))
    good = repository.add("zoo", Contents({}, {"usr/share/zoo": "lion\n" * 5000})).read_bytes()
    at = good.index(b"data.tar")
    for data in (good[: at + 80], good[: at + 70] + b"\0" * 9 + good[at + 79 :], good[:at] + b"x" + good[at + 1 :]):
        (repository.root / "pool/zoo_1.0_all.deb").write_bytes(data)
        repository.publish()
        with served(repository.root) as url:
            mine = {"url": url, "suites": ["test"], "components": ["main"], "keys": [repository.key.armoured]}
            options = {"architecture": "amd64", "repositories": [mine], "packages": ["zoo"]}
            ran = shared_bench.run(debian_tree(), (APT, options))
        assert_told(ran)
        assert ran.returncode == 1
        assert "package zoo: " in ran.result["error"]["message"], ran.result["error"]


# -- trees that scripts leave behind -----------------------------------------------------------------------------------

PLACES = (
    "etc/passwd", "etc/group", "etc/hosts", "etc/hostname", "etc/os-release", "etc/locale.gen",
    "usr/share/i18n/SUPPORTED", "etc/timezone", "usr/share/zoneinfo/Europe/Prague", "usr/share/systemd/kbd-model-map",
    "etc/chrony.conf", "usr/share/X11/xkb/rules/base.lst", "usr/lib/grub/i386-pc/normal.mod",
    "usr/share/grub/unicode.pf2",
    "boot/vmlinuz-1", "boot/initrd.img-1", "boot/loader/entries/one.conf", "var/lib/dpkg/status",
    "etc/selinux/targeted/contexts/files/file_contexts", ".osbuild-compose-labels.json", "etc/yum.repos.d/x.repo",
    "usr/lib/rpm/macros", "etc/machine-id", "usr/lib/sysimage/rpm/rpmdb.sqlite", "boot/grub2/grubenv",
    "usr/lib/systemd/boot/efi/systemd-bootx64.efi", "var/lib/containers/storage/overlay/x",
    *(f"usr/bin/{name}" for name in ("useradd", "groupadd", "kernel-install", "dracut", "locale-gen", "setupcon")),
)  # fmt: skip
KINDS = {
    "fifo": "os.mkfifo(path)",
    "endless": "os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 42)",
    "loop": "os.symlink(os.path.basename(path), path)",
    "directory": "os.mkdir(path)",
    "link": "os.symlink('/run/osbuild/api/arguments', path)",
}
UUID = "01234567-89ab-cdef-0123-456789abcdef"
STAGES = {
    "org.osbuild.users": {"users": {"joe": {"key": "ssh-ed25519 AAAA"}}},
    "org.osbuild.groups": {"groups": {"staff": {}}},
    "org.osbuild.hostname": {"hostname": "box"},
    "org.osbuild.locale": {"language": "cs_CZ.UTF-8"},
    "org.osbuild.timezone": {"zone": "Europe/Prague"},
    "org.osbuild.keymap": {"keymap": "cz"},
    "org.osbuild.chrony": {"timeservers": ["one.example"]},
    "org.osbuild.fix-bls": {},
    "org.osbuild.grub2": {"root_fs_uuid": UUID},
    "org.osbuild-compose.grub": {"root_fs_uuid": UUID},
    "org.osbuild-compose.systemd-boot": {"root_fs_uuid": UUID},
    "org.osbuild.kernel-cmdline": {"root_fs_uuid": UUID},
    "org.osbuild.systemd": {"masked_services": ["sleep.target"]},
    "org.osbuild.selinux": {"file_contexts": "etc/selinux/targeted/contexts/files/file_contexts"},
    "org.osbuild.yum.repos": {"filename": "x.repo", "repos": [{"id": "x", "baseurl": ["http://x"]}]},
    "org.osbuild.rpm": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_stage_waits_for_or_fills_itself_with_what_is_in_the_tree(bench: Bench, kind: str) -> None:
    code = f"""
import json, os, sys
tree, places = (lambda given: (given["tree"], given["options"]["places"]))(json.load(sys.stdin))
for place in places:
    path = os.path.join(tree, place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.chdir(os.path.dirname(path))
    path = os.path.basename(path)
    {KINDS[kind]}
"""
    bench.program("trap", code)
    for name, options in STAGES.items():
        ran = bench.run(("trap", {"places": PLACES}), (name, options))
        assert_told(ran)


def test_a_database_of_the_tree_cannot_be_used_to_write_elsewhere(bench: Bench) -> None:
    """SQLite follows a link in place of its journal."""
    code = """
import json, os, sqlite3, sys
tree = json.load(sys.stdin)["tree"]
os.makedirs(f"{tree}/usr/lib/sysimage/rpm")
path = f"{tree}/usr/lib/sysimage/rpm/rpmdb.sqlite"
database = sqlite3.connect(path)
database.execute("CREATE TABLE one (x)")
database.execute("CREATE VIEW trans AS SELECT 1 AS dt_begin, 2 AS dt_end")
database.commit()
os.symlink("/tmp/written-by-sqlite", f"{path}-journal")
"""
    look = "import os; print(os.path.exists('/tmp/written-by-sqlite'))"
    bench.program("trap", code)
    bench.program("look", look)
    ran = bench.run("trap", ("org.osbuild.rpm", {}), "look")
    assert_told(ran)


def test_the_nested_sandbox_of_scripts_is_refused_where_the_tree_has_links_for_mount_points(bench: Bench) -> None:
    for name in ("proc", "dev", "run", "tmp"):
        code = f"""
import json, os, sys
tree = json.load(sys.stdin)["tree"]
os.makedirs(tree + "/bin")
open(tree + "/bin/sh", "w").close()
os.symlink("/usr/share", tree + "/{name}")
"""
        bench.program("trap", code)
        ran = bench.run("trap", ("org.osbuild.script", {"script": "true"}))
        assert ran.returncode == 1
        assert f"its /{name} is not a directory" in ran.output()
