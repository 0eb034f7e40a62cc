"""org.osbuild.dnf with the real dnf, on a small repository of the tests' own: what a tree is like, and what fails."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.rpm.rpm_stages import DNF, FOUND, NODES, Repositories, layers, look, options
from tests.integration.runner.conftest import Bench

# Leaks into package scripts unless it is scrubbed, and has made kernel-install fail.
ENVIRONMENT = {"TMPDIR": "/var/tmp", "LC_ALL": "cs_CZ.UTF-8", "SECRET": "s3cret"}
DATABASE = """
paths = ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/root/.rpmdb", "/root")
found["where"] = {path: names(path) for path in paths}
"""


def installed(bench: Bench, repository: Repositories, packages: list[str], code: str, **more: Any) -> dict[str, Any]:
    return look(bench, [(DNF, options(packages, repository.repo(), **more))], code)


@pytest.mark.parametrize(
    ("releasever", "where"),
    [
        ("30", "/var/lib/rpm"),
        ("35", "/var/lib/rpm"),
        ("36", "/usr/lib/sysimage/rpm"),
        ("43", "/usr/lib/sysimage/rpm"),
        ("9", "/var/lib/rpm"),
        ("10-stream", "/usr/lib/sysimage/rpm"),
    ],
)
def test_the_database_is_where_the_release_keeps_it(
    bench: Bench, repository: Repositories, releasever: str, where: str
) -> None:
    found = installed(bench, repository, ["docs"], DATABASE, releasever=releasever)["where"]
    assert found.pop(where) == ["rpmdb.sqlite"]
    assert set(map(str, found.values())) == {"None"}


def test_the_database_is_where_an_option_says_and_stays_there(bench: Bench, repository: Repositories) -> None:
    first = (DNF, options(["docs"], repository.repo(), dbpath="/usr/lib/sysimage/rpm"))
    second = (DNF, options(["weak"], repository.repo(), install_weak_deps=False))
    code = f"{DATABASE}\nfound['names'] = rpm('--dbpath', '/usr/lib/sysimage/rpm', '-qa', '--qf', '%{{NAME}} ').split()"
    found = look(bench, [first, second], code)
    assert found["where"]["/usr/lib/sysimage/rpm"] == ["rpmdb.sqlite"]
    assert found["where"]["/var/lib/rpm"] is None
    assert sorted(found["names"]) == ["docs", "gpg-pubkey", "weak"]


def test_scripts_see_the_tree_and_nothing_of_the_machine(bench: Bench, repository: Repositories) -> None:
    code = "found['seen'] = {name: text('/seen/' + name) for name in names('/seen')}"
    named = ("org.osbuild.hostname", {"hostname": "box.example.org"})
    found = look(bench, [named, (DNF, options(["probe"], repository.repo()))], code, env=ENVIRONMENT)["seen"]
    assert set(ENVIRONMENT) & {line.split()[1].split("=")[0] for line in found["environment"].splitlines()} == {
        "LC_ALL"
    }
    assert "LC_ALL='C.UTF-8'" in found["environment"]
    assert found["machine-id"] == "f" * 32 + "\n"
    assert found["hostname"] == "box.example.org\n"
    assert found["cmdline"] == "root=/dev/osbuild\n"
    assert found["null"] == "device\n"
    assert found["sys"] == "/sys/*\n"  # nothing of this machine's hardware
    assert sorted(found["network"].split()) == sorted(
        f"/proc/sys/net/ipv4/conf/{name}" for name in ("all", "default", "lo")
    )


def test_the_tree_is_clean(bench: Bench, repository: Repositories) -> None:
    code = """
found["dev"] = {path: names(path) for path in ("/dev", "/proc", "/sys", "/run", "/tmp", "/var/tmp", "/var/cache/dnf")}
found["modes"] = [oct(os.stat(tree + path).st_mode) for path in ("/dev", "/proc", "/sys")]
found["machine-id"] = [text("/etc/machine-id"), oct(os.stat(tree + "/etc/machine-id").st_mode)]
found["left"] = names("/etc/ssh"), names("/var/lib/systemd"), names("/var/log"), names("/etc/dracut.conf.d")
databases = ["/var/lib/rpm/rpmdb.sqlite"]
histories = {
    "/var/lib/dnf/history.sqlite": "cmdline",
    "/usr/lib/sysimage/libdnf5/transaction_history.sqlite": "description",
}
for path, column in histories.items():
    if os.path.exists(tree + path):
        databases.append(path)
        with sqlite3.connect("file:" + tree + path + "?immutable=1", uri=True) as history:
            found["history"] = history.execute(f"SELECT dt_begin, dt_end, {column} FROM trans").fetchall()
            if column == "cmdline":
                found["output"] = history.execute("SELECT count(*) FROM console_output").fetchall()
found["beside"] = {os.path.dirname(path): names(os.path.dirname(path)) for path in databases}
# SQLite's file format, section 1.3.3: 1 for a journal that is rolled back, 2 for WAL
found["journal"] = [open(tree + path, "rb").read(20)[18:] == b"\\1\\1" for path in databases]
found["files"] = [name for _, _, files in os.walk(tree) for name in files if "hawkey" in name or name.endswith(".log")]
found["epoch"] = os.environ["SOURCE_DATE_EPOCH"]
# At the end: rpm 6 leaves a lock behind when it is asked.
found["times"] = rpm("--dbpath", "/var/lib/rpm", "-qa", "--qf", "%{INSTALLTIME} ").split()
"""
    found = installed(bench, repository, ["probe"], code)
    assert set(map(str, found["dev"].values())) == {"[]"}
    assert found["modes"] == ["0o40755", "0o40555", "0o40555"]
    assert found["machine-id"] == ["", "0o100444"]
    assert found["left"] == [[], [], None, None] or found["left"] == [[], [], [], None]
    # rpm counts on by one second for the packages that others need.
    assert 0 <= max(map(int, found["times"])) - int(found["epoch"]) < 2
    assert set(found["journal"]) == {True}
    assert found["beside"].pop("/var/lib/rpm") == ["rpmdb.sqlite"]
    beside = [name for names in found["beside"].values() for name in names]
    assert not [name for name in beside if name.endswith(("-wal", "-shm", "-journal"))]
    assert len(found["history"]) == 1
    for begin, end, command in found["history"]:
        assert [begin, end] == [int(found["epoch"])] * 2
        assert command == "osbuild-compose"
    assert found.get("output", [[0]]) == [[0]]
    assert found["files"] == []


def test_owners_capabilities_and_file_triggers(bench: Bench, repository: Repositories) -> None:
    code = """
status = os.stat(tree + "/srv/owned")
found["owned"] = [oct(status.st_mode), status.st_uid, status.st_gid]
found["caps"] = os.getxattr(tree + "/srv/owned", "security.capability").hex()
found["triggered"] = text("/seen/triggered")
"""
    found = installed(bench, repository, ["owner", "trigger"], code)
    assert found["owned"] == ["0o102751", 48, 48]
    assert "00200000" in found["caps"]  # 1 << 13, cap_net_raw, among the permitted ones: linux/capability.h
    assert found["triggered"] == "/usr/share/trigger/one\n"


def test_device_nodes_have_placeholders(bench: Bench, repository: Repositories) -> None:
    """Those of packages that are installed, and not those of packages that another build has downloaded."""
    assert installed(bench, repository, ["nodes"], NODES)["nodes"] == FOUND
    assert installed(bench, repository, ["owner"], NODES)["nodes"] == {}


def test_two_cold_builds_are_the_same_bytes(bench: Bench, repository: Repositories) -> None:
    packages = ["@core", "owner", "trigger", "weak"]
    made = []
    for priority in (1, 2):  # makes another build of it, but not another tree
        before = layers(bench)
        ran = bench.run((DNF, options(packages, repository.repo(priority=priority))))
        assert ran.returncode == 0, ran.stderr
        (layer,) = layers(bench) - before
        made.append(layer.read_bytes())
    assert made[0] == made[1]


def test_the_key_of_the_repository_is_in_the_database(bench: Bench, repository: Repositories) -> None:
    found = installed(bench, repository, ["docs"], "found['names'] = rpm('--dbpath', '/var/lib/rpm', '-qa')")
    assert "gpg-pubkey-" in found["names"]


def test_what_to_install_in_dnfs_notation(bench: Bench, repository: Repositories) -> None:
    query = "found['names'] = sorted(rpm('--dbpath', '/var/lib/rpm', '-qa', '--qf', '%{NAME} ').split())"

    def names(packages: list[str], **more: Any) -> list[str]:
        found: list[str] = installed(bench, repository, packages, query, **more)["names"]
        return [name for name in found if name != "gpg-pubkey"]

    assert names(["@Core"]) == ["base", "docs"]
    assert names(["core"], operation="groupinstall") == ["base", "docs"]
    assert names(["/bin/sh", "trig*"]) == ["base", "trigger"]
    assert names(["weak"]) == ["docs", "weak"]
    assert names(["weak"], install_weak_deps=False) == ["weak"]
    assert names(["@Core", "trigger"], exclude_packages=["docs"]) == ["base", "trigger"]


def test_a_package_of_the_repository_with_the_lowest_priority_and_the_newest_else(
    bench: Bench, repository: Repositories
) -> None:
    query = "found['version'] = rpm('--dbpath', '/var/lib/rpm', '-q', 'docs', '--qf', '%{VERSION}')"
    for priority, version in ((10, "1"), (99, "2")):
        repos = [repository.repo(priority=priority), repository.repo("newer", priority=99)]
        assert look(bench, [(DNF, options(["docs"], *repos))], query) == {"version": version}
    first = (DNF, options(["docs"], repository.repo()))
    update = (DNF, options(["docs"], repository.repo("newer"), operation="upgrade"))
    assert look(bench, [first, update], query) == {"version": "2"}


def test_metalink_and_mirrorlist_with_variables_in_their_urls(bench: Bench, repository: Repositories) -> None:
    www = repository.room / "www"
    (www / "link-30-x86_64").write_text(repository.main.metalink(f"{repository.url}/main"))
    (www / "list-30-x86_64").write_text(f"{repository.url}/main\n")
    checksum = repository.main.checksum
    for kind, name in (("metalink", "link"), ("mirrorlist", "list")):
        url = f"{repository.url}/{name}-$releasever-${{basearch}}"
        repo = repository.repo(baseurl=None, checksum=checksum, **{kind: url})
        assert look(bench, [(DNF, options(["docs"], repo))], "found['docs'] = names('/usr/share/doc/docs')") == {
            "docs": ["README"]
        }


def test_nothing_leaves_the_tree(bench: Bench, repository: Repositories) -> None:
    found = installed(bench, repository, ["outside"], "found['names'] = names('/')")
    assert "escaped" in found["names"]
    assert not Path("/escaped").exists()
