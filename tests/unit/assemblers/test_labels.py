"""Which label each path of a tree gets, by libselinux, without privileges."""

import ctypes.util
import os
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from stagelib import selinux
from stagelib.disk import file_contexts, labels
from stagelib.disk.file_contexts import Contexts
from stagelib.errors import StageError

pytestmark = pytest.mark.skipif(ctypes.util.find_library("selinux") is None, reason="libselinux.so.1 is not installed")

CONTEXTS = "/etc/selinux/targeted/contexts/files/file_contexts"
POLICY = """
# What is before the first tab or space is a pattern.
/.*                     system_u:object_r:default_t:s0
/               -d      system_u:object_r:root_t:s0
/etc(/.*)?              system_u:object_r:etc_t:s0
/etc/shadow.*   --      system_u:object_r:shadow_t:s0
/etc/link       -l      system_u:object_r:link_t:s0
/usr/(.*/)?lib(/.*)?    system_u:object_r:lib_t:s0
/usr/bin/su     --      system_u:object_r:su_exec_t:s0
/var/www(/.*)?          system_u:object_r:httpd_sys_content_t:s0
/run/.*                 <<none>>
/lost\\+found     -d      system_u:object_r:lost_found_t:s0
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with a policy and one of each kind of file."""
    monkeypatch.setattr("stagelib.disk.output.SCRATCH", str(tmp_path))
    if os.geteuid() != 0:  # who cannot give files away; nothing here is about their owners
        monkeypatch.setattr(os, "fchown", lambda *_: None)
    made = tmp_path / "tree"
    write(made, CONTEXTS, POLICY)
    write(made, f"{CONTEXTS}.subs_dist", "/usr/lib64 /usr/lib\n/srv/www /var/www\n")
    write(made, f"{CONTEXTS}.homedirs", "/home/[^/]+/\\.ssh(/.*)?  system_u:object_r:ssh_home_t:s0\n")
    for path in ("/etc/shadow", "/usr/bin/su", "/usr/lib64/x.so", "/srv/www/page", "/run/pid", "/home/a/.ssh/key"):
        write(made, path, path)
    (made / "etc/shadow-dir").mkdir()
    (made / "etc/link").symlink_to("/etc/shadow")
    (made / "etc/new\nline").touch()
    return made


def write(tree: Path, path: str, text: str) -> None:
    place = tree / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def types(found: Mapping[str, str]) -> dict[str, str]:
    return {path: label.split(":")[2] for path, label in found.items()}


def labels_of(tree: Path, at: str = "/", rule: selinux.Rule | None = None) -> dict[str, str]:
    selinux.add(str(tree), rule or selinux.Rule(CONTEXTS))
    return types(labels.of_tree(str(tree), at))


def test_a_tree_without_a_record_has_no_labels(tree: Path) -> None:
    assert labels.of_tree(str(tree)) == {}


def test_every_path_has_its_label(tree: Path) -> None:
    found = labels_of(tree)
    expected = {
        "/": "root_t",
        "/etc": "etc_t",
        "/etc/shadow": "shadow_t",
        "/etc/shadow-dir": "etc_t",
        "/etc/link": "link_t",
        "/etc/new\nline": "etc_t",
        "/usr": "default_t",
        "/usr/bin/su": "su_exec_t",
        "/usr/lib64": "lib_t",
        "/usr/lib64/x.so": "lib_t",
        "/srv/www/page": "httpd_sys_content_t",
        "/home/a/.ssh/key": "ssh_home_t",
        "/lost+found": "lost_found_t",
        "/run": "default_t",
    }
    assert {path: found[path] for path in expected} == expected
    assert "/run/pid" not in found
    assert f"/{selinux.RECORD}" not in found


def test_a_part_of_the_tree_is_named_as_a_file_system_of_its_own(tree: Path) -> None:
    found = labels_of(tree, "/srv/www")
    assert found == {"/": "httpd_sys_content_t", "/page": "httpd_sys_content_t", "/lost+found": "httpd_sys_content_t"}


def test_target_exclusions_and_exact_labels(tree: Path) -> None:
    exact = {"/usr/bin/su": "a:b:exact_t:s0", "/etc/gone": "a:b:gone_t:s0"}
    found = labels_of(tree, rule=selinux.Rule(CONTEXTS, "/etc", ("/etc/selinux",), exact))
    assert set(found) == {"/etc", "/etc/shadow", "/etc/shadow-dir", "/etc/link", "/etc/new\nline", "/usr/bin/su"}
    assert found["/usr/bin/su"] == "exact_t"
    # What comes later is stronger.
    assert labels_of(tree)["/usr/bin/su"] == "su_exec_t"


def test_links_to_one_file_have_one_label(tree: Path) -> None:
    os.link(tree / "etc/shadow", tree / "etc/another")
    found = labels_of(tree)
    assert found["/etc/another"] == found["/etc/shadow"] == "etc_t"
    found = labels_of(tree, rule=selinux.Rule(CONTEXTS, labels={"/etc/shadow": "a:b:exact_t:s0"}))
    assert found["/etc/another"] == found["/etc/shadow"] == "exact_t"


def test_links_in_the_tree_lead_nowhere_else(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    write(tmp_path, "outside/secret", "not a pattern")
    (tree / "etc/selinux/other").symlink_to(tmp_path / "outside")
    (tree / "usr/etc").symlink_to("/etc")
    assert labels_of(tree, rule=selinux.Rule(f"/usr{CONTEXTS}"))["/etc/shadow"] == "shadow_t"
    with pytest.raises(StageError, match="the tree has no /etc/selinux/other/secret"):
        labels_of(tree, rule=selinux.Rule("/etc/selinux/other/secret"))


def test_a_pattern_that_cannot_be_used_is_an_error(tree: Path) -> None:
    write(tree, CONTEXTS, "/etc/(.*\tsystem_u:object_r:etc_t:s0\n")
    with pytest.raises(StageError, match="libselinux"):
        labels_of(tree)


def test_a_build_root_without_libselinux_is_reported(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagelib.disk.file_contexts.LIBRARY", "libmissing.so.1")
    with pytest.raises(StageError, match=r"libmissing\.so\.1, which knows the SELinux labels") as raised:
        labels_of(tree)
    assert "libselinux1 (Debian" in raised.value.hint


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("/etc/shadow", "/etc/shadow"),
        ("/etc(/.*)?", "/etc"),
        ("/usr/libx?", "/usr/lib"),
        ("/usr/lib.*", "/usr/lib"),
        ("/a{2}", "/"),
        ("/a+", "/a"),
        ("/x\\.y", "/x"),
        ("/a|/b", ""),
        ("/(a|b)", "/"),
        ("/a\\|b", "/a"),
        ("/a\\\\|/b", ""),
        ("?", ""),
    ],
)
def test_what_matches_begin_with(pattern: str, prefix: str) -> None:
    assert file_contexts.prefix(pattern) == prefix


def test_substitutions_are_followed_and_endless_ones_not_forever() -> None:
    pairs = [("/usr/lib64", "/usr/lib"), ("/srv/www", "/var/www")]
    assert file_contexts.aliases("/usr/lib64/a/", pairs) == {"/usr/lib64/a/", "/usr/lib/a/"}
    assert file_contexts.aliases("/srv/", pairs) == {"/srv/", "/var/www"}
    assert file_contexts.aliases("/opt/", pairs) == {"/opt/"}
    assert file_contexts.aliases("/a/", [("/a", "/a/a")]) == {""}


def test_fewer_patterns_mean_the_same_labels(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many patterns, each directory is matched by a few of them only: as if by all."""
    monkeypatch.setattr(file_contexts, "FEW", 4)
    chance = random.Random(1)
    words = ["lib", "lib64", "bin", "www", "a", "b", "log"]
    paths = {"/" + "/".join(chance.choices(words, k=chance.randint(1, 5))) for _ in range(200)}
    for path in paths:
        (tree / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    rests = ["", "(/.*)?", "/[^/]*", "/(.*/)?log", "?", "|/www"]
    lines = [f"{path}{chance.choice(rests)} a:b:t{number}:s0" for number, path in enumerate(sorted(paths))]
    write(tree, CONTEXTS, POLICY + "\n".join(lines) + "\n")
    write(tree, f"{CONTEXTS}.local", "/www/.* a:b:local:s0\n")
    write(tree, f"{CONTEXTS}.subs", "/lib64 /lib\n/a/b /b\n")
    found = labels_of(tree)
    whole = Contexts(f"{tree}{CONTEXTS}")
    for path in tree.rglob("*"):
        name = f"/{path.relative_to(tree)}"
        label = whole.label(name, path.lstat().st_mode)
        assert name == f"/{selinux.RECORD}" or found.get(name) == (label and label.split(":")[2]), name
    whole.close()
