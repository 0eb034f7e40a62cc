"""org.osbuild.rpm with the real rpm, on packages of the small repository given as files."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.rpm.rpm_stages import FOUND, LOOK, NODES, Repositories, layers
from tests.integration.runner.conftest import Bench, Ran

RPM = "org.osbuild.rpm"
QUERY = "found['names'] = sorted(rpm('-qa', '--dbpath', '/var/lib/rpm', '--qf', '%{NAME} ').split())"


def checksum(repository: Repositories, name: str, where: str = "main") -> str:
    """The checksum of a package's file."""
    (file,) = (repository.room / "www" / where).glob(f"{name}-1-1.*.rpm")
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def run(
    bench: Bench,
    repository: Repositories,
    names: list[str],
    *,
    code: str = "",
    env: Mapping[str, str] | None = None,
    **more: Any,
) -> tuple[int, dict[str, Any]]:
    """Install packages by name, with the key; returns the exit status and what the runner says, or the code found."""
    urls = {checksum(repository, name): f"{repository.url}/main/{name}-1-1.x86_64.rpm" for name in names}
    options = {"packages": list(urls), "gpgkeys": [repository.key.armoured], "dbpath": "/var/lib/rpm", **more}
    options = {key: value for key, value in options.items() if value is not None}
    stages = [{"name": RPM, "options": options}]
    if code:
        bench.program("look", LOOK)
        stages.append({"name": "look", "options": {"code": code}})
    build = getattr(bench, "build", None)
    pipeline = {"stages": stages, **({"build": build} if build else {})}
    document = {"pipeline": pipeline, "sources": {"org.osbuild.files": {"urls": urls}}}
    done = bench.account.runner(*bench.argv("--json"), input=json.dumps(document), env=env)
    result: dict[str, Any] = json.loads(done.stdout)
    assert "Traceback" not in done.stderr + done.stdout
    if done.returncode or not code:
        return done.returncode, result
    found: dict[str, Any] = json.loads(Ran(0, result, "").output().partition("FOUND ")[2])
    return 0, found


def refused(bench: Bench, repository: Repositories, names: list[str], **more: Any) -> str:
    """The message and hint of a stage that fails and leaves nothing."""
    before = layers(bench, RPM)
    status, result = run(bench, repository, names, **more)
    assert status == 1, result
    assert layers(bench, RPM) == before
    return f"{result['error']['message']}\nhint: {result['error'].get('hint', '')}"


def test_packages_without_network(bench: Bench, repository: Repositories) -> None:
    # The listing comes first: rpm 6 leaves a lock behind when it is asked.
    code = f"""
found["database"] = names("/var/lib/rpm")
{QUERY}
found["seen"] = {{name: text("/seen/" + name) for name in names("/seen")}}
found["owned"] = [os.stat(tree + "/srv/owned").st_uid, os.getxattr(tree + "/srv/owned", "security.capability").hex()]
found["clean"] = names("/dev"), names("/run"), names("/var/cache/dnf"), text("/etc/machine-id"), found["database"]
"""
    status, found = run(bench, repository, ["trigger", "owner", "probe", "base"], code=code, env={"TMPDIR": "/nowhere"})
    assert status == 0, found
    assert found["names"] == ["base", "gpg-pubkey", "owner", "probe", "trigger"]
    assert "TMPDIR" not in found["seen"]["environment"]
    assert found["seen"]["machine-id"] == "f" * 32 + "\n"
    assert found["seen"]["null"] == "device\n"
    assert found["seen"]["triggered"] == "/usr/share/trigger/one\n"
    assert sorted(path.rpartition("/")[2] for path in found["seen"]["network"].split()) == ["all", "default", "lo"]
    assert found["owned"][0] == 48
    assert "00200000" in found["owned"][1]
    assert found["clean"] == [[], [], [], "", ["rpmdb.sqlite"]]


def test_who_must_have_signed_what(bench: Bench, repository: Repositories) -> None:
    foreign = [repository.foreign.armoured]
    told = refused(bench, repository, ["base", "docs"], gpgkeys=foreign)
    assert "the package base-1-1.x86_64 is not signed by one of the gpgkeys" in told
    assert "hint: add the key that signed it to gpgkeys" in told
    assert "the package unsigned-1-1.x86_64 is not signed" in refused(bench, repository, ["base", "unsigned"])
    lenient = [{"checksum": checksum(repository, name)} for name in ("base", "docs")]
    assert run(bench, repository, ["base", "docs"], packages=lenient, gpgkeys=foreign)[0] == 0
    strict = [lenient[0], {**lenient[1], "check_gpg": True}]
    told = refused(bench, repository, ["base", "docs"], packages=strict, gpgkeys=foreign)
    assert "the package docs-1-1.x86_64 is not signed by one of the gpgkeys" in told
    assert run(bench, repository, ["base", "unsigned"], gpgkeys=None)[0] == 0


def test_what_cannot_be_installed(bench: Bench, repository: Repositories) -> None:
    assert "packages are missing: needy-1-1.x86_64 needs what-nobody-has" in refused(bench, repository, ["needy"])
    assert run(bench, repository, ["needy"], nodeps=True)[0] == 0
    assert "rival" in refused(bench, repository, ["docs", "rival"])
    told = refused(bench, repository, ["docs"], packages=[f"sha256:{'0' * 64}"])
    assert f"the package sha256:{'0' * 64} is not among the manifest's sources" in told


@pytest.mark.parametrize(
    ("package", "script"),
    [("bad-pre", "prein"), ("bad-post", "post"), ("bad-posttrans", "posttrans"), ("bad-trigger", "transfiletriggerin")],
)
def test_a_script_that_fails(bench: Bench, repository: Repositories, package: str, script: str) -> None:
    told = refused(bench, repository, ["base", "trigger", package])
    assert f"a package's script failed: %{script} of {package}-1-1.x86_64" in told


def test_a_file_whose_owner_does_not_exist(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, repository, ["base", "stray-owner"])
    assert "files of stray-owner-1-1.x86_64 should belong to the user nobody-here" in told


def test_what_is_left_out_and_what_scripts_are_told(bench: Bench, repository: Repositories) -> None:
    code = f"""{QUERY}
found["docs"] = names("/usr/share/doc/docs")
found["environment"] = text("/seen/environment")
found["booted"] = names("/run"), text("/seen/booted")
"""
    status, found = run(
        *(bench, repository, ["base", "probe", "docs"]),
        code=code,
        exclude={"docs": True},
        ostree_booted=True,
        kernel_install_env={"boot_root": "/efi"},
    )
    assert status == 0, found
    assert not found["docs"]
    assert "BOOT_ROOT='/efi'" in found["environment"]
    assert found["booted"] == [[], "yes\n"]


def test_device_nodes_have_placeholders(bench: Bench, repository: Repositories) -> None:
    status, found = run(bench, repository, ["base", "owner", "nodes"], code=NODES)
    assert status == 0, found
    assert found["nodes"] == FOUND


def test_keys_of_the_tree(bench: Bench, repository: Repositories) -> None:
    lenient = [{"checksum": checksum(repository, name)} for name in ("base", "keys")]
    path = "/etc/pki/rpm-gpg/RPM-GPG-KEY-test"
    more = {"packages": lenient, "gpgkeys": None}
    told = refused(bench, repository, ["base", "keys"], **more, **{"gpgkeys.fromtree": [f"{path}-2"]})
    assert f"the tree has no {path}-2" in told
    told = refused(bench, repository, ["base", "keys"], **more, **{"gpgkeys.fromtree": ["/etc/group"]})
    assert "/etc/group cannot be imported" in told
    status, found = run(bench, repository, ["base", "keys"], code=QUERY, **more, **{"gpgkeys.fromtree": [path]})
    assert status == 0, found
    assert "gpg-pubkey" in found["names"]


def test_the_database_is_where_the_release_keeps_it(bench: Bench, repository: Repositories) -> None:
    code = "found['where'] = names('/var/lib/rpm'), names('/usr/lib/sysimage/rpm')"
    for release, where in (("release-30", [["rpmdb.sqlite"], None]), ("release-43", [None, ["rpmdb.sqlite"]])):
        status, found = run(bench, repository, ["base", release], code=code, dbpath=None)
        assert status == 0, found
        assert found["where"] == where


def test_two_cold_builds_are_the_same_bytes(bench: Bench, repository: Repositories) -> None:
    made = []
    for lenient in (True, False):  # makes another build of it, but not another tree
        before = layers(bench, RPM)
        status, result = run(
            bench, repository, ["base", "owner", "trigger"], rpmkeys={"ignore_import_failures": lenient}
        )
        assert status == 0, result
        (layer,) = layers(bench, RPM) - before
        made.append(layer.read_bytes())
    assert made[0] == made[1]
