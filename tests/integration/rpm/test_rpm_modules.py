"""org.osbuild.dnf with modularity: a repository of a module with two streams, and one package outside of modules."""

from typing import Any

import pytest

from tests.integration.rpm.repository import Package, modules, stream
from tests.integration.rpm.rpm_stages import DNF, Repositories, layers, look, options
from tests.integration.runner.conftest import Bench

STREAMS = ("9", "10")
STATE = """
found["packages"] = rpm("--dbpath", "/var/lib/rpm", "-qa", "--qf", "%{NAME}-%{VERSION} ").split()
found["state"] = text("/etc/dnf/modules.d/runtime.module")
found["caches"] = [names(path) for path in ("/var/cache/dnf", "/var/cache/libdnf5")]
"""


@pytest.fixture(scope="session")
def modular(repository: Repositories) -> str:
    """The name of a repository with the module `runtime`, whose stream 9 is its default."""
    copy = repository.variant("modular")
    # Debian's dnf5 does not find the platform that it makes up: Debian's libsolv does not know the architecture noarch.
    documents = [modules("runtime", default=STREAMS[0]), stream("platform", "f30", [])]
    for version in STREAMS:
        package = Package("runtime", tags=f"ModularityLabel: runtime:{version}:1:0", version=version)
        file = package.build(repository.room / f"work/runtime-{version}")
        repository.key.sign(file)
        file.rename(copy.root / file.name)
        documents.append(stream("runtime", version, [package]))
    copy.publish(documents)
    return copy.root.name


def wanted(repository: Repositories, modular: str, packages: list[str], *streams: str) -> tuple[str, dict[str, Any]]:
    chosen = [dict(zip(("name", "stream"), text.split(":"), strict=True)) for text in streams]
    return DNF, options(packages, repository.repo(modular), modules=chosen)


def test_packages_come_from_the_stream(bench: Bench, repository: Repositories, modular: str) -> None:
    # 9 is the default, and 10 would be the newer version without modules.
    for version in STREAMS:
        stage = wanted(repository, modular, ["runtime"], f"runtime:{version}")
        found = look(bench, [stage], STATE)
        assert f"runtime-{version}" in found["packages"]
        assert found["state"].strip() == f"[runtime]\nname=runtime\nstream={version}\nprofiles=\nstate=enabled"
        assert not any(found["caches"])


def test_the_tree_keeps_to_the_stream(bench: Bench, repository: Repositories, modular: str) -> None:
    first = wanted(repository, modular, [], "runtime:9")
    found = look(bench, [first, wanted(repository, modular, ["runtime"])], STATE)
    assert "runtime-9" in found["packages"]


@pytest.mark.parametrize("name", ["runtime:11", "no-such-module:1"])
def test_a_module_or_stream_that_is_not_there(bench: Bench, repository: Repositories, modular: str, name: str) -> None:
    before = layers(bench)
    ran = bench.run(wanted(repository, modular, ["runtime"], name))
    assert ran.returncode == 1
    where = f"the repository {repository.url}/{modular}"
    assert ran.result["error"]["message"].endswith(f"there is no module {name} in {where}"), ran.stderr
    assert "dnf module list" in ran.result["error"]["hint"]
    assert layers(bench) == before


def test_another_stream_than_the_one_that_the_tree_has(bench: Bench, repository: Repositories, modular: str) -> None:
    first = wanted(repository, modular, ["runtime"], "runtime:9")
    ran = bench.run(first, wanted(repository, modular, ["runtime"], "runtime:10"))
    assert ran.returncode == 1
    assert "cannot enable the modules" in ran.result["error"]["message"]
