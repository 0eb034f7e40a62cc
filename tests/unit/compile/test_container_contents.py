"""Images of containers: what they have, what they leave to their host, and blueprints that also make machines."""

import json
from typing import Any

import pytest

from osbuild_compose.blueprint.formats import Contents, Format
from osbuild_compose.errors import InputError
from osbuild_compose.images import Image
from osbuild_compose.project import Project
from tests.conftest import REPO
from tests.unit.compile.compiling import check_options, files, names, options

HEAD = "name: a\ndistro: {}\n"
DEBIAN, FEDORA = HEAD.format("debian-12"), HEAD.format("fedora-43")
ALL_KEYS = """
packages: [nginx, openssh-server]
hostname: web
timezone: Europe/Prague
timeservers: [ntp.example.org]
keyboard: de
network: {interfaces: [{name: eth0, dhcp: true}]}
locale: de_DE.UTF-8
users: [{name: joe, sudo: true}]
services: {enabled: [nginx], disabled: [apt-daily.timer]}
units: [{name: own.service, content: "[Service]\\nExecStart=/bin/true\\n"}]
timers: [{name: tidy, schedule: daily, command: /bin/true}]
first_boot: [echo hello]
cloud_init: {}
modprobe: {load: [loop]}
udev_rules: [{name: 90-a.rules, content: "# a\\n"}]
initramfs: {drivers: [loop]}
kernel: {append: quiet}
disk: {size: 4 GiB}
files: [{path: /srv/a, content: a}]
scripts: [echo a]
"""


def images(text: str, *formats: Format) -> list[Image]:
    """The blueprint's images."""
    project = Project(mirror="http://mirror.example/debian", security_mirror="http://mirror.example/security")
    if "fedora" in text or "centos" in text or "rocky" in text or "almalinux" in text:
        project = Project()
    return project.images_of(project.load_text(text), formats)


def only(text: str, *formats: Format) -> dict[str, Any]:
    """The pipeline of its only image."""
    (image,) = images(text, *formats)
    document: dict[str, Any] = json.loads(image.pipeline)
    check_options(document)
    return document


def packages(document: dict[str, Any]) -> list[str]:
    """All packages that the pipeline names."""
    stages = [*options(document, "org.osbuild-compose.apt"), *options(document, "org.osbuild.dnf")]
    return [package for stage in stages for package in stage["packages"]]


def refused(text: str) -> list[str]:
    """What is wrong with the blueprint."""
    with pytest.raises(InputError) as caught:
        Project().load_text(text)
    return [error.brief for error in caught.value.each()]


def test_container_has_kernel() -> None:
    document = only((REPO / "tests/cases/container-has-kernel.yaml").read_text())
    assert names(document) == ["apt", "files", "provenance"]
    assert packages(document) == ["apt"]
    assert set(files(document)) == {"/etc/apt/sources.list.d/debian.sources"}
    (made,) = document["assembler"]["options"]["outputs"]
    assert made["cmd"] == ["/bin/bash"]


@pytest.mark.parametrize("distro", ["fedora-43", "centos-9", "centos-10", "rocky-10", "almalinux-9"])
def test_containers_of_rpm_distributions(distro: str) -> None:
    document = only(HEAD.format(distro) + "formats: [oci-archive]\n")
    assert names(document) == ["dnf", "provenance"]
    release = f"{distro.partition('-')[0]}-release".replace("centos-", "centos-stream-")
    assert packages(document) == ["bash", "coreutils", "dnf", release, "glibc-minimal-langpack"]


@pytest.mark.parametrize("image_format", ["oci-archive", "wsl", "tar", "tar.gz", "tar.xz", "tar.zst"])
def test_formats_of_containers(image_format: str) -> None:
    assert packages(only(f"{DEBIAN}formats: [{image_format}]\n")) == ["apt"]


@pytest.mark.parametrize("image_format", ["cpio", "squashfs", "ext4", "qcow2", "iso"])
def test_formats_of_machines(image_format: str) -> None:
    assert "systemd-sysv" in packages(only(f"{DEBIAN}formats: [{image_format}]\n"))


def test_a_blueprint_may_say_what_an_image_has_the_files_of() -> None:
    machine = only(DEBIAN + "kernel: {append: quiet}\nformats: [{format: tar, contents: machine}]\n")
    assert machine["stages"][0] == only(DEBIAN + "formats: [qcow2]\n")["stages"][0]
    assert "fstab" in names(machine)
    assert packages(only(DEBIAN + "formats: [{format: squashfs, contents: container}]\n")) == ["apt"]
    assert refused(DEBIAN + "formats: [{format: qcow2, contents: container}]\n") == [
        "qcow2 is always of a whole machine"
    ]


def test_one_tree_for_all_that_have_the_same_files() -> None:
    made = images(DEBIAN + ALL_KEYS + "formats: [oci-archive, qcow2, tar, iso]\n")
    assert [image.formats for image in made] == [(Format.QCOW2, Format.ISO), (Format.OCI_ARCHIVE, Format.TAR)]
    assert [list(image.filenames) for image in made] == [["a.qcow2", "a.iso"], ["a.oci.tar", "a.tar"]]
    alone = [images(DEBIAN + ALL_KEYS + "formats: [oci-archive, qcow2, tar, iso]\n", *image.formats) for image in made]
    assert [one for (one,) in alone] == made  # the one does not depend on the other


def test_a_machine_does_not_depend_on_containers_beside_it() -> None:
    machine, _ = images(DEBIAN + ALL_KEYS + "embed_provenance: false\nformats: [qcow2, oci-archive]\n")
    assert json.loads(machine.pipeline) == only(DEBIAN + ALL_KEYS + "embed_provenance: false\nformats: [qcow2]\n")


def test_what_a_container_leaves_to_its_host() -> None:
    document = only(DEBIAN + ALL_KEYS + "formats: [qcow2, tar]\n", Format.TAR)
    assert " ".join(names(document)) == (
        "apt hostname apt first-boot-secrets locale timezone users files files files systemd script provenance"
    )
    asked = ["nginx", "openssh-server", "tzdata", "locales", "cloud-init", "sudo", "systemd-sysv", "passwd"]
    assert packages(document) == ["apt", *asked]
    assert not [path for path in files(document) if "modprobe" in path or "udev" in path or "network" in path]
    (systemd,) = options(document, "org.osbuild.systemd")
    assert systemd["enabled_services"] == [
        "tidy.timer",
        "compose-first-boot-script-1.service",
        "nginx",
    ]


def test_a_kernel_that_packages_name_is_that_of_the_machine() -> None:
    text = DEBIAN + "packages: [nginx, linux-image-amd64]\n"
    machine, container = images(text + "formats: [qcow2, tar]\n")
    assert "linux-image-amd64" in packages(json.loads(machine.pipeline))
    assert packages(json.loads(container.pipeline)) == ["apt", "nginx"]
    assert (container.kernel.packages, container.kernel.reason) == ((), "containers have none: tar")
    assert packages(only(text + "formats: [tar]\n")) == ["apt", "nginx", "linux-image-amd64"]  # it was asked for


def test_who_starts_services() -> None:
    services = "packages: [nginx]\nservices: {enabled: [nginx]}\n"
    document = only(DEBIAN + services + "formats: [oci-archive]\n")
    assert packages(document) == ["apt", "nginx", "systemd-sysv"]
    (made,) = document["assembler"]["options"]["outputs"]
    assert (made["cmd"], made["stop_signal"]) == (["/sbin/init"], "SIGRTMIN+3")
    assert (
        packages(only(FEDORA + "timers: [{name: t, schedule: daily, command: a}]\nformats: [tar]\n"))[-1] == "systemd"
    )
    assert "systemd" not in names(only(DEBIAN + "packages: [nginx]\nformats: [tar]\n"))
    named = only(DEBIAN + "packages: [systemd-sysv]\nformats: [oci-archive]\n")
    assert named["assembler"]["options"]["outputs"][0]["cmd"] == ["/sbin/init"]


def test_a_container_with_a_program_of_its_own_starts_no_services() -> None:
    text = "packages: [nginx]\nservices: {enabled: [nginx]}\nformats: [qcow2, {format: oci-archive, cmd: [nginx]}]\n"
    _, container = images(DEBIAN + text)
    document = json.loads(container.pipeline)
    assert packages(document) == ["apt", "nginx"]
    assert "systemd" not in names(document)
    assert document["assembler"]["options"]["outputs"][0]["cmd"] == ["nginx"]
    assert "stop_signal" not in document["assembler"]["options"]["outputs"][0]
    init = text.replace("[nginx]}]", "[/sbin/init]}]")
    assert "systemd-sysv" in packages(json.loads(images(DEBIAN + init)[1].pipeline))
    assert refused(DEBIAN + text.replace("qcow2, ", "")) == [
        "`services`: nothing starts them: each format of containers says which program it runs"
    ]


def test_wsl_is_told_to_start_systemd() -> None:
    text = DEBIAN + "packages: [cron]\nservices: {enabled: [cron]}\nformats: [wsl]\n"
    assert files(only(text))["/etc/wsl.conf"]["content"] == "[boot]\nsystemd=true\n"
    assert "/etc/wsl.conf" not in files(only(DEBIAN + "formats: [wsl]\n"))


def test_packages_that_keys_need() -> None:
    other = "repositories: [default, {url: 'https://own.example', suites: [a], components: [main]}]\n"
    assert packages(only(DEBIAN + other + "formats: [tar]\n")) == ["apt", "ca-certificates"]
    assert packages(only(DEBIAN + "groups: [{name: a}]\nformats: [tar]\n")) == ["apt", "passwd"]
    assert packages(only(FEDORA + "users: [{name: a}]\nformats: [tar]\n"))[-1] == "shadow-utils"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kernel", "{append: quiet}"),
        ("initramfs", "{drivers: [loop]}"),
        ("modprobe", "{load: [loop]}"),
        ("fips", "true"),
        ("disk", "{bootloader: none}"),
        ("udev_rules", "[{name: 90-a.rules, content: '# a'}]"),
        ("firewall", "{ports: ['80:tcp']}"),
        ("timeservers", "[ntp.example.org]"),
        ("keyboard", "de"),
        ("network", "{interfaces: [{name: eth0, dhcp: true}]}"),
        ("selinux", "permissive"),
    ],
)
def test_keys_that_only_machines_have(key: str, value: str) -> None:
    text = f"{FEDORA}{key}: {value}\n"
    (brief,) = refused(f"{text}formats: [oci-archive, tar]\n")
    assert brief.startswith(f"`{key}`: no format in `formats` is of a machine: ")
    for formats in ("[qcow2, tar]", "[{format: tar, contents: machine}]"):
        assert Project().load_text(f"{text}formats: {formats}\n").formats


def test_values_that_ask_for_nothing_are_no_errors() -> None:
    assert Project().load_text(FEDORA + "selinux: disabled\nfips: false\nkernel: {}\nformats: [tar]\n").formats


def test_one_pipeline_for_several_trees_is_refused() -> None:
    project = Project(mirror="http://mirror.example/debian", security_mirror="http://mirror.example/security")
    blueprint = project.load_text(DEBIAN + "formats: [qcow2, tar]\n")
    with pytest.raises(InputError, match="qcow2 and tar have different files"):
        project.image(blueprint)
    assert project.image(blueprint, [Format.TAR]).formats == (Format.TAR,)
    names_of = [item.name for item in project.explain(blueprint)]
    assert names_of.count("org.osbuild-compose.apt") == 2
    assert len(Contents) == 2
