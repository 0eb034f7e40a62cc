"""Files of a hostile tree: nothing is read or written outside of it, nothing waits, nothing fills memory."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from stagelib import accounts, chroot, removal, tree_paths, tree_walk
from stagelib.errors import StageError


@pytest.fixture
def tree(tmp_path: Path) -> str:
    """An empty tree, beside a directory `outside` with a secret."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "tree").mkdir()
    return str(tmp_path / "tree")


def outside(tree: str) -> list[str]:
    return sorted(os.listdir(os.path.join(tree, "../outside")))


def own() -> dict[str, int]:
    return {"uid": os.getuid(), "gid": os.getgid()}


LINKS = ("{outside}", "../outside", "../../../../../../../../../../{outside}", "/../../{outside}")


@pytest.mark.parametrize("target", LINKS)
def test_links_lead_nowhere(tree: str, target: str) -> None:
    to = target.format(outside=os.path.join(os.path.dirname(tree), "outside"))
    os.symlink(to, f"{tree}/etc")
    assert tree_paths.text_or_none(tree, "etc/secret") is None
    assert not tree_paths.exists(tree, "etc/secret")
    assert tree_paths.list_names(tree, "etc") == []
    tree_paths.write_file(tree, "/etc/file", "text", **own())
    tree_paths.write_symlink(tree, "etc/link", "x")
    tree_paths.make_dirs(tree, "etc/a/b", **own())
    tree_paths.remove(tree, "etc/secret")
    tree_paths.empty(tree, "etc/secret")
    assert outside(tree) == ["secret"]
    assert tree_paths.read_text(tree, "etc/file") == "text"
    assert tree_paths.list_names(tree, "etc/a") == ["b"]


def test_a_link_at_the_end_is_replaced_or_followed_inside(tree: str) -> None:
    os.mkdir(f"{tree}/etc")
    os.symlink(f"{os.path.dirname(tree)}/outside/secret", f"{tree}/etc/one")
    os.symlink("../../outside/new", f"{tree}/etc/two")
    tree_paths.write_file(tree, "etc/one", "mine", **own())
    assert not os.path.islink(f"{tree}/etc/one")
    assert tree_paths.lookup(tree, "etc/two") is None
    info = tree_paths.lookup(tree, "etc/two", follow_last=False)
    assert info is not None
    assert stat.S_ISLNK(info.st_mode)
    assert outside(tree) == ["secret"]
    assert Path(tree, "../outside/secret").read_text() == "secret"


def fifo(path: str) -> None:
    os.mkfifo(path)


def endless(path: str) -> None:
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.truncate(fd, 1 << 42)
    os.close(fd)


def loop(path: str) -> None:
    os.symlink(os.path.basename(path), path)


READERS: dict[str, Callable[[str, str], object]] = {
    "read_bytes": tree_paths.read_bytes,
    "text_or_none": tree_paths.text_or_none,
    "empty": tree_paths.empty,
    "append": lambda tree, path: tree_paths.append(tree, path, "x"),
    "copy_file": lambda tree, path: tree_paths.copy_file(tree, path, "copy"),
    "copy_out": lambda tree, path: tree_paths.copy_out(tree, path, f"{tree}/../copy"),
    "change": lambda tree, path: tree_paths.change(tree, path, mode=0o600),
}


@pytest.mark.parametrize("kind", [fifo, loop])
@pytest.mark.parametrize("reader", READERS)
def test_only_regular_files_are_opened(tree: str, kind: Callable[[str], None], reader: str) -> None:
    os.mkdir(f"{tree}/etc")
    kind(f"{tree}/etc/trap")
    with pytest.raises(OSError, match=r"regular|levels|No such device") as caught:
        READERS[reader](tree, "/etc/trap")
    assert caught.value.filename == "/etc/trap"


@pytest.mark.parametrize("reader", ["read_bytes", "text_or_none", "copy_file", "copy_out"])
def test_sizes_are_bounded(tree: str, reader: str) -> None:
    endless(f"{tree}/trap")
    with pytest.raises(OSError, match="more than") as caught:
        READERS[reader](tree, "trap")
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == "/trap"


@pytest.mark.parametrize("kind", [fifo, endless, loop])
def test_whatever_is_there_is_replaced(tree: str, kind: Callable[[str], None]) -> None:
    kind(f"{tree}/trap")
    tree_paths.write_file(tree, "trap", "mine", **own())
    assert tree_paths.read_text(tree, "trap") == "mine"


def test_directories_in_the_way(tree: str) -> None:
    os.mkdir(f"{tree}/one")
    with pytest.raises(IsADirectoryError) as caught:
        tree_paths.write_file(tree, "one", "x", **own())
    assert caught.value.filename == "/one"
    with pytest.raises(IsADirectoryError):
        tree_paths.write_symlink(tree, "one", "x")
    assert tree_paths.text_or_none(tree, "one") is None
    with pytest.raises(OSError, match="not the name"):
        tree_paths.write_file(tree, "one/..", "x", **own())
    tree_paths.write_file(tree, "file", "x", **own())
    with pytest.raises(NotADirectoryError) as other:
        tree_paths.write_file(tree, "file/below", "x", **own())
    assert other.value.filename == "/file/below"


def test_what_accounts_of_a_hostile_tree_lead_to(tree: str) -> None:
    lines = ["root:x:0:0::/root:/bin/sh", f"a:x:{'9' * 5000}:0::/:/", "b:x:4294967295:0::/:/", "c:x:\u0661:0::/:/"]
    tree_paths.write_file(tree, "etc/passwd", "\n".join([*lines, "d:x:7:8::/d\0/../..:/", ":::"]), **own())
    assert sorted(accounts.users(tree)) == ["d", "root"]
    with pytest.raises(OSError, match="NUL"):
        tree_paths.is_dir(tree, accounts.users(tree)["d"].home)
    with pytest.raises(OSError, match="NUL"):
        tree_paths.inside(tree, accounts.users(tree)["d"].home)


def test_paths_are_followed_as_the_booted_system_does(tree: str) -> None:
    os.makedirs(f"{tree}/usr/lib")
    os.symlink("usr/lib", f"{tree}/lib")
    os.symlink("/lib/../lib/./x", f"{tree}/link")
    tree_paths.write_file(tree, "/lib/x", "text", **own())
    assert tree_paths.read_text(tree, "link") == "text"
    assert tree_paths.inside(tree, "link") == "usr/lib/x"
    assert tree_paths.resolve(tree, "/") == tree
    tree_paths.remove_if_empty(tree, "usr/lib")
    assert tree_paths.is_dir(tree, "lib")
    tree_paths.remove(tree, "usr/lib/x")
    tree_paths.remove_if_empty(tree, "lib")
    assert not tree_paths.exists(tree, "usr/lib")


def test_a_tree_may_be_deeper_than_a_path(tree: str) -> None:
    depth, name = 3000, "deep"
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.symlink("/", "link", dir_fd=fd)
    os.close(fd)
    found = list(tree_walk.walk(tree))
    assert len(found) == depth + 1
    assert found[-1].files == ["link"]
    for directory in found:
        directory.set_time(1)
    assert os.stat(f"{tree}/{name}/{name}").st_mtime == 1
    removal.remove_tree(tree)  # pytest could not


def test_walking_does_not_follow_links(tree: str) -> None:
    os.symlink("../outside", f"{tree}/link")
    os.makedirs(f"{tree}/a/b")
    assert [one.path for one in tree_walk.walk(tree)] == ["", "a", "a/b"]
    assert [one.path for one in tree_walk.walk(tree, "link")] == []
    assert [one.path for one in tree_walk.walk(tree, "/a")] == ["a", "a/b"]


@pytest.mark.parametrize("name", chroot.MOUNT_POINTS)
def test_the_trees_mount_points_are_no_links(tree: str, name: str) -> None:
    chroot.command(tree, ["true"])
    os.symlink("/usr", f"{tree}/{name}")
    with pytest.raises(StageError, match=f"/{name} is not a directory"):
        chroot.command(tree, ["true"])
