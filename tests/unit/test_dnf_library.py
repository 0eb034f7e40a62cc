"""The parts of org.osbuild.dnf and org.osbuild.rpm that need no dnf."""

from pathlib import Path
from typing import Any

import pytest
from stagelib.dnf import databases, failures, groups_and_modules, options
from stagelib.dnf.command import Ended
from stagelib.dnf.origins import Origins
from stagelib.errors import StageError
from stagelib.rpm import options as rpm_options

ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
TWO = {"repos": [{"baseurl": "http://a.example"}, {"metalink": "http://b.example/m"}]}


def wanted(**more: Any) -> options.Options:
    return options.from_json({"releasever": "43", "basearch": "x86_64", "packages": ["a"], **TWO, **more})


def told(function: Any, *arguments: Any) -> str:
    with pytest.raises(StageError) as caught:
        function(*arguments)
    return f"{caught.value} / {caught.value.hint}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://x/$releasever/$basearch", "http://x/43/x86_64"),
        ("http://x/${releasever}-${basearch}", "http://x/43-x86_64"),
        ("http://x/$releasever_major/$stream/$", "http://x/$releasever_major/$stream/$"),
    ],
)
def test_variables_in_urls(url: str, expected: str) -> None:
    assert wanted(repos=[{"baseurl": url}]).repositories[0].url == expected


@pytest.mark.parametrize(
    ("release", "directory"),
    [
        ("30", "/var/lib/rpm"),
        ("36", databases.NEW),
        ("rawhide", databases.NEW),
        ("9.4", "/var/lib/rpm"),
        ("10", databases.NEW),
    ],
)
def test_where_a_release_keeps_its_database(tmp_path: Path, release: str, directory: str) -> None:
    assert databases.location(str(tmp_path), None, release) == directory
    assert databases.location(str(tmp_path), "/own", release) == "/own"


def test_the_trees_own_macros_say_where_the_database_is(tmp_path: Path) -> None:
    macros = tmp_path / "usr/lib/rpm/macros"
    macros.parent.mkdir(parents=True)
    macros.write_text("%_dbpath\t%{_usr}/lib/sysimage/rpm\n")
    assert databases.location(str(tmp_path), None, "30") == "/usr/lib/sysimage/rpm"
    assert 'set "dbpath": "/usr/lib/sysimage/rpm"' in told(databases.check_location, str(tmp_path), "/var/lib/rpm")
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    (tmp_path / "var/lib/rpm/rpmdb.sqlite").touch()
    assert databases.location(str(tmp_path), None, "43") == "/var/lib/rpm"


def test_where_a_package_comes_from_by_the_tables_of_both() -> None:
    lines = """
 Package                  Arch    Version            Repo    Size
 bash                     x86_64  5.2.15-2           repo0  1.8 M
 a-package-with-a-name-that-is-too-long-for-its-column
                          noarch  1:3-4.fc43         repo1  1.8 k
 docs x86_64 0:1-1   repo1        8.0   B
  Installing       : bash-5.2.15-2.x86_64                  1/2
[4/4] Installing docs-0:1-1.x86_ 100% |  49.2 KiB/s | 252.0   B |  00m00s
""".splitlines()
    origins = Origins(wanted(), lines)
    assert origins.repository_of("bash-5.2.15-2.x86_64") == "the repository http://a.example"
    assert origins.repository_of("docs-0:1-1.x86_64") == "the repository http://b.example/m"
    name = "a-package-with-a-name-that-is-too-long-for-its-column-3-4.fc43.noarch"
    assert origins.repository_of(name) == "the repository http://b.example/m"
    assert origins.repository_of("other-1-1.noarch") == "one of the repositories http://a.example, http://b.example/m"
    assert origins.installed_before(7) == "bash-5.2.15-2.x86_64 from the repository http://a.example"
    assert origins.installed_before(8) == "docs-1-1.x86_64 from the repository http://b.example/m"


def test_a_full_disk_is_reported_as_such() -> None:
    for line in (
        "Error: [Errno 28] No space left on device: '/x'",
        "At least 23MB more space needed on the / filesystem.",
    ):
        assert "no space left for the packages" in str(failures.explain(Ended(1, [line]), wanted(), "cannot"))


def test_what_nobody_foresaw_is_reported_in_dnfs_words() -> None:
    error = failures.explain(
        Ended(1, ["x", "Error: repo1 is odd", "and more"]), wanted(), "cannot install the packages"
    )
    assert str(error).startswith("cannot install the packages of one of the repositories")
    assert str(error).endswith(": http://b.example/m is odd; and more")
    assert str(failures.explain(Ended(3, []), wanted(), "cannot")).endswith(": dnf ended with status 3")


def test_scripts_that_failed_though_dnf_ended_with_0() -> None:
    lines = ["warning: %posttrans(kernel-core-6.1-1.x86_64) scriptlet failed, exit status 1"]
    assert "%posttrans of kernel-core-6.1-1.x86_64" in told(failures.check_installation, Ended(0, lines), wanted())


def test_rows_of_dnf5s_list_of_groups() -> None:
    assert groups_and_modules.ROW.match("core                 Core                      no")
    found = groups_and_modules.ROW.match("web-server           Basic Web Server         yes")
    assert found
    assert found.groups() == ("web-server", "Basic Web Server")
    assert not groups_and_modules.ROW.match("ID                   Name               Installed")


def test_whose_signature_is_checked() -> None:
    one, two, three = (f"sha256:{digit * 64}" for digit in "123")
    packages = [one, {"checksum": two}, {"checksum": three, "check_gpg": True}, one]
    assert rpm_options.from_json({"packages": packages, "gpgkeys": [ARMOUR]}).signed == {one, three}
    assert rpm_options.from_json({"packages": packages}).signed == {three}
    assert rpm_options.from_json({"packages": packages}).packages == (one, two, three)
