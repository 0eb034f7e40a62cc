"""org.osbuild.dnf with repositories and packages that are files of the manifest's sources."""

import hashlib
import json
from typing import Any

from osbuild_compose.distro.family import rpm_directory
from osbuild_compose.distro.repository import NamedRepository
from tests.integration.rpm.rpm_stages import DNF, LOOK, Repositories, options
from tests.integration.runner.conftest import Bench, Ran


def test_a_repository_and_a_package_of_sources(bench: Bench, repository: Repositories) -> None:
    """What createrepo_c made is read as the frontend reads it; nothing is fetched but these files."""
    main = repository.main
    read = rpm_directory.files(NamedRepository("local", directory=str(main.root)), "x86_64")
    found = {file.path: f"sha256:{file.sha256}" for file in read}
    assert {"repodata/repomd.xml", "weak-1-1.x86_64.rpm", "docs-1-1.x86_64.rpm"} <= set(found)
    unsigned = main.root / "unsigned-1-1.x86_64.rpm"
    given = f"sha256:{hashlib.sha256(unsigned.read_bytes()).hexdigest()}"
    urls = {checksum: f"{repository.url}/main/{path}" for path, checksum in found.items()}
    local = {"files": found, "gpgkey": repository.key.armoured}
    wanted = options(["weak"], local, archives=[given], install_weak_deps=True)
    code = "found['names'] = sorted(rpm('--dbpath', '/var/lib/rpm', '-qa', '--qf', '%{NAME} ').split())"
    bench.program("look", LOOK)
    stages: list[Any] = [{"name": DNF, "options": wanted}, {"name": "look", "options": {"code": code}}]
    build = getattr(bench, "build", None)
    document = {
        "pipeline": {"stages": stages, **({"build": build} if build else {})},
        "sources": {"org.osbuild.files": {"urls": urls}},
    }
    done = bench.account.runner(*bench.argv("--json"), input=json.dumps(document))
    assert done.returncode == 0, done.stdout + done.stderr
    ran = Ran(done.returncode, json.loads(done.stdout), done.stderr)
    names = json.loads(ran.output().partition("FOUND ")[2])["names"]
    assert [name for name in names if name != "gpg-pubkey"] == ["base", "docs", "unsigned", "weak"]
