"""The kernel of an image: the one that the blueprint names, or the one that its formats need."""

from dataclasses import replace
from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import kernel, kernel_names
from osbuild_compose.compile.kernel import Kernel
from osbuild_compose.document import reader
from osbuild_compose.project import Project
from tests import small_key
from tests.unit.compile.compiling import CATALOG, blueprint, compiled, options, request

CLOUD, GENERIC = "linux-image-cloud-amd64", "linux-image-amd64"
OWN = f"repositories: [default, {{url: http://own.example, suites: [a], keys: [{small_key.IN_YAML}]}}]\n"


def debian(text: str = "", release: str = "debian-12") -> Blueprint:
    return blueprint(f"name: a\ndistro: {release}\n{text}")


def installed(wanted: Blueprint, *formats: Format) -> list[list[str]]:
    """The kernels, by name, that each stage with packages installs."""
    document = compiled(wanted, *formats)
    stages = options(document, "org.osbuild-compose.apt") + options(document, "org.osbuild.dnf")
    return [list(kernel_names.named_in(stage["packages"], CATALOG.release(wanted.distro))) for stage in stages]


@pytest.mark.parametrize("release", ["debian-12", "debian-13"])
@pytest.mark.parametrize(
    ("formats", "package"),
    [
        ("qcow2 gce vpc vhdx squashfs cpio", CLOUD),
        ("raw raw.xz raw.zst iso pxe ova vmdk vdi", GENERIC),
    ],
)
def test_a_format_that_is_started_on_any_machine_has_drivers_for_it(release: str, formats: str, package: str) -> None:
    for name in formats.split():
        assert kernel.chosen(request(debian(release=release), Format(name))).base == (package,)


def test_several_formats_have_one_kernel_which_all_can_use() -> None:
    found = kernel.chosen(request(debian(), Format.QCOW2, Format.RAW, Format.ISO))
    assert found == Kernel((GENERIC,), "has drivers for any hardware: raw, iso", base=(GENERIC,))
    assert kernel.chosen(request(debian(), Format.QCOW2)).reason == "has drivers for virtual machines: qcow2"


@pytest.mark.parametrize("distro", ["fedora-43", "centos-9", "rocky-9", "almalinux-10"])
def test_kernels_of_rpm_distributions(distro: str) -> None:
    wanted = Blueprint(name="a", distro=distro)
    assert kernel.chosen(request(wanted, Format.GCE)).base == ("kernel-core",)
    assert kernel.chosen(request(wanted, Format.RAW)).base == ("kernel",)


@pytest.mark.parametrize(
    "package",
    [
        GENERIC,
        "linux-image-rt-amd64",
        "linux-image-6.1.0-50-amd64",
        "linux-image-6.1.0-50-amd64-unsigned",
        "linux-image-amd64=6.1.170-1",
        "linux-image-amd64/bookworm-security",
        "proxmox-kernel-6.8",
    ],
)
def test_the_kernel_among_the_packages_is_the_kernel(package: str) -> None:
    found = installed(debian(f"packages: [nginx, {package}]\n"), Format.QCOW2)
    assert found == [[package], [package]]


@pytest.mark.parametrize("package", ["linux-image-6.1.0-50-amd64-dbg", "linux-headers-amd64", "linux-base"])
def test_what_is_no_kernel(package: str) -> None:
    assert installed(debian(f"packages: [{package}]\n"), Format.QCOW2) == [[CLOUD], []]


@pytest.mark.parametrize(
    "package",
    [
        *("kernel", "kernel-core", "kernel-6.17.1-3.fc43", "kernel-core-6.17.1-3.fc43", "kernel-rt", "kernel-64k"),
        *("kernel >= 6.17", "kernel-core.x86_64"),
    ],
)
def test_the_kernel_among_rpm_packages_is_the_kernel(package: str) -> None:
    wanted = Blueprint(name="a", distro="fedora-43", packages=(package, "kernel-tools", "kernel-modules-extra"))
    assert installed(wanted, Format.QCOW2) == [[package], [package]]


def test_a_kernel_from_a_repository_of_the_blueprint_is_the_only_one() -> None:
    """The base system, which is installed without that repository, has no kernel then."""
    for text in ("packages: [linux-image-own]\n", "kernel: {package: linux-image-own}\n"):
        assert installed(debian(OWN + text), Format.QCOW2) == [[], ["linux-image-own"]]
    assert installed(debian(f"{OWN}packages: [linux-image-amd64/bookworm-backports]\n"), Format.QCOW2)[0] == []


@pytest.mark.parametrize("repositories", ["", OWN, OWN.replace("}", ", use: image}"), OWN.replace("default, ", "")])
def test_the_releases_own_kernel_is_in_the_base_system(repositories: str) -> None:
    wanted = debian(f"{repositories}packages: [nginx]\n")
    assert installed(wanted, Format.QCOW2) == [[CLOUD], []]
    assert installed(replace(wanted, kernel=replace(wanted.kernel, package=GENERIC)), Format.QCOW2) == [[GENERIC], []]


@pytest.mark.parametrize("wanted", ["kernel.x86_64", "kernel >= 6.1", "kernel-core.x86_64"])
def test_a_kernel_in_any_of_dnfs_notations_is_the_only_one(wanted: str) -> None:
    for key in (f"packages: ['{wanted}']\n", f"kernel: {{package: '{wanted}'}}\n"):
        assert installed(blueprint(f"name: a\ndistro: fedora-43\n{key}"))[0] == [wanted]


def test_a_kernel_in_a_package_file_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "linux-image-own_1_amd64.deb").write_text("")
    text = "name: a\ndistro: debian-12\npackages: [./linux-image-own_1_amd64.deb]\n"
    wanted = load.check(reader.parse(text.encode(), str(tmp_path / "a.yaml")), ["debian-12"])
    assert installed(wanted) == [[], []]
    (stage, other) = options(compiled(wanted), "org.osbuild-compose.apt")
    assert "archives" not in stage
    assert len(other["archives"]) == 1


def test_a_kernel_in_a_package_file_is_for_machines_only(tmp_path: Path) -> None:
    (tmp_path / "linux-image-own_1_amd64.deb").write_text("")
    text = "name: a\ndistro: debian-12\nformats: [qcow2, tar]\npackages: [./linux-image-own_1_amd64.deb]\n"
    machine, container = Project().images_of(Project().load_text(text, str(tmp_path / "a.yaml")))
    assert b"archives" in machine.pipeline
    assert b"archives" not in container.pipeline
