"""What an assembler leaves in its output directory, and what of it reaches the caller's."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.conftest import make_account
from tests.integration.attacks.conftest import PRELUDE
from tests.integration.runner.conftest import Bench, Ran

OUTPUT = "args = json.load(sys.stdin)\noutput, options = args['output_dir'] + '/', args['options']\n"
GOOD = "open(output + 'image', 'w').write('good')\n"


def assemble(bench: Bench, code: str, umask: int | None = None, out: str = "out") -> Ran:
    """Run `code` as an assembler, and export what it made to the directory `out`."""
    bench.program("attempt", PRELUDE + OUTPUT + code, kind="assemblers")
    args = ("--output-directory", bench.place / out)
    if umask is None:
        return bench.run("org.osbuild.noop", assembler="attempt", args=args)
    before = os.umask(umask)
    try:
        return bench.run("org.osbuild.noop", assembler="attempt", args=args)
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("os.symlink(options['secret'], output + 'evil')", "evil is a symbolic link in the output"),
        ("os.symlink('image', output + 'evil')", "evil is a symbolic link in the output"),
        ("os.symlink('/nonexistent', output + 'evil')", "evil is a symbolic link in the output"),
        ("os.mkdir(output + 'd'); os.symlink('/etc', output + 'd/evil')", "d/evil is a symbolic link in the output"),
        ("os.mkfifo(output + 'evil')", "evil is a FIFO in the output"),
        ("socket.socket(socket.AF_UNIX).bind(output + 'evil')", "evil is a socket in the output"),
        ("p = output\nfor _ in range(200): p += '/d'; os.mkdir(p)", "a directory below 64 others in the output"),
        (
            "os.chdir(output)\nfor _ in range(3000): os.mkdir('d' * 200); os.chdir('d' * 200)",
            "a directory below 64 others in the output",
        ),
    ],
)
def test_anything_but_files_and_directories_is_an_error_that_names_it(
    bench: Bench, secret: Path, code: str, message: str
) -> None:
    ran = assemble(bench, f"options = {{'secret': {str(secret)!r}}}\n{GOOD}{code}\n")
    assert ran.returncode == 1
    assert message in ran.result["error"]["message"]
    assert ran.result["error"]["stage"] == "attempt"
    assert "regular files and directories only" in ran.result["error"]["hint"]
    assert ran.result["stages"][-1]["success"] is False
    assert not (bench.place / "out").exists()
    assert list((bench.store / "outputs").iterdir()) == []
    assert list((bench.store / "tmp").iterdir()) == []


def test_special_bits_owners_and_attributes_do_not_come_along(bench: Bench) -> None:
    code = (
        "import struct\n"
        "for name, mode in (('a', 0o6777), ('b', 0o4755), ('c', 0), ('d', 0o2666)):\n"
        "    open(output + name, 'w').write(name); os.chown(output + name, 7, 8); os.chmod(output + name, mode)\n"
        "os.mkdir(output + 'e'); os.chmod(output + 'e', 0o7777); open(output + 'e/f', 'w').write('f')\n"
        "os.chown(output + 'e', 9, 9); os.link(output + 'e/f', output + 'e/g')\n"
        "acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in ((1, 6, 0xffffffff), (2, 7, 1000),\n"
        "    (4, 7, 0xffffffff), (16, 7, 0xffffffff), (32, 7, 0xffffffff)))\n"
        "os.setxattr(output + 'd', 'system.posix_acl_access', acl)\n"
        "os.setxattr(output + 'e', 'system.posix_acl_default', acl); os.setxattr(output + 'd', 'user.x', b'y')\n"
        "os.setxattr(output + 'b', 'security.capability', struct.pack('<IIIII', 0x02000001, 0x2000, 0, 0, 0))\n"
    )
    ran = assemble(bench, code)
    assert ran.returncode == 0, ran.result
    owner = bench.place.stat().st_uid
    for top in (bench.place / "out", *(bench.store / "outputs").glob("*[!n]")):
        found = {path.relative_to(top).as_posix(): path for path in top.rglob("*") if path.suffix != ".json"}
        assert sorted(found) == ["a", "b", "c", "d", "e", "e/f", "e/g"]
        for name, path in found.items():
            info = path.lstat()
            assert info.st_uid == owner, name
            directory_or_program = stat.S_ISDIR(info.st_mode) or name in ("a", "b")
            assert stat.S_IMODE(info.st_mode) == (0o755 if directory_or_program else 0o644), name
            assert [one for one in os.listxattr(path) if one != "security.selinux"] == []
    assert (bench.place / "out/e/g").read_text() == "f"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o027, 0o002])
def test_exported_files_follow_the_callers_umask(bench: Bench, umask: int) -> None:
    code = f"{GOOD}os.chmod(output + 'image', 0o666)\nos.mkdir(output + 'd'); open(output + 'd/f', 'w')\n"
    assert assemble(bench, code, umask).returncode == 0
    out = bench.place / "out"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (out, *out.rglob("*"))}
    assert modes == {"out": 0o777 & ~umask, "image": 0o666 & ~umask, "d": 0o777 & ~umask, "f": 0o666 & ~umask}


def test_a_file_that_was_exported_keeps_the_permissions_that_it_was_given(bench: Bench) -> None:
    assert assemble(bench, GOOD, 0o077, "private").returncode == 0
    assert assemble(bench, GOOD, 0o022, "public").returncode == 0
    assert assemble(bench, GOOD, 0o022, "private").returncode == 0
    assert stat.S_IMODE((bench.place / "private/image").stat().st_mode) == 0o600
    assert stat.S_IMODE((bench.place / "public/image").stat().st_mode) == 0o644


def test_links_in_the_output_directory_are_replaced_and_not_followed(bench: Bench) -> None:
    victim, out = bench.place / "victim", bench.place / "out"
    bench.account.run(["mkdir", victim, out], check=True)
    bench.account.run(["ln", "-s", victim / "new", out / "image"], check=True)
    bench.account.run(["ln", "-s", victim, out / "d"], check=True)
    ran = assemble(bench, f"{GOOD}os.mkdir(output + 'd'); open(output + 'd/f', 'w').write('1')\n")
    assert ran.returncode == 0, ran.result
    assert list(victim.iterdir()) == []
    assert (out / "image").read_text() == "good"
    assert not (out / "image").is_symlink()
    assert (out / "d/f").read_text() == "1"
    assert sorted(path.name for path in out.iterdir()) == ["d", "image"]
    assert assemble(bench, f"{GOOD}os.mkdir(output + 'd'); open(output + 'd/g', 'w').write('2')\n").returncode == 0
    assert sorted(path.name for path in (out / "d").iterdir()) == ["g"]


def test_root_exports_to_a_directory_that_only_another_user_may_enter(scratch_room: Path, installed: Path) -> None:
    """As with sudo; a run's own namespaces do not give root such rights."""
    root, user = (make_account(kind, scratch_room, installed) for kind in ("root", "user"))
    bench = Bench(root, scratch_room / "sudo")
    bench.place.mkdir()
    home = bench.place / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, user.name)
    bench.program("attempt", PRELUDE + OUTPUT + GOOD, kind="assemblers")
    for number in range(2):  # made, and from the store
        out = home / f"out-{number}"
        ran = bench.run("org.osbuild.noop", assembler="attempt", args=("--output-directory", out))
        assert ran.returncode == 0, ran.result
        assert (out / "image").read_text() == "good"


def test_sparse_images_stay_sparse_on_another_file_system(bench: Bench) -> None:
    """A copy, since there are no hard links between file systems."""
    code = "with open(output + 'image', 'wb') as f: f.truncate(10 << 40); f.seek(5 << 40); f.write(b'middle')\n"
    there = Path(subprocess.check_output(["mktemp", "-d", "/dev/shm/compose-attack-XXXXXX"], text=True).strip())
    try:
        subprocess.run(["chown", bench.account.name, there], check=True)
        bench.program("attempt", PRELUDE + OUTPUT + code, kind="assemblers")
        ran = bench.run("org.osbuild.noop", assembler="attempt", args=("--output-directory", there))
        if ran.returncode == 1 and "EFBIG" in str(ran.result):
            pytest.skip("the file system of the store has no files of this size")
        assert ran.returncode == 0, ran.result
        info = (there / "image").stat()
        assert info.st_size == 10 << 40
        assert info.st_blocks * 512 < 1 << 20
        with (there / "image").open("rb") as file:
            file.seek(5 << 40)
            assert file.read(6) == b"middle"
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", there], check=True)
