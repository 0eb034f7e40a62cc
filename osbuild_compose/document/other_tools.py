"""Hints for values in the form of other tools: kickstart's -package, osbuild's formats, lines of sources.list."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_OSTREE = "images of OSTree are not made here"
_INSTALLER = "installers are not made here: images are ready to boot"
_AZURE = "it is a fixed VHD, which Azure takes"
_AWS = "AWS imports it"
# Formats of osbuild, image-builder, mkosi, Packer and clouds: ours, "" if there is none, and why.
_FORMATS = {
    **dict.fromkeys(("ami", "aws", "ec2", "ec2-ha", "ec2-sap", "cloud-ec2"), ("raw", _AWS)),
    **dict.fromkeys(("vhd", "azure", "azure-rhui", "azure-sap-rhui", "azure-cvm", "cloud-azure"), ("vpc", _AZURE)),
    **dict.fromkeys(("gcp", "gcp-rhui", "google", "cloud-gce", "cloud-gcp"), ("gce", "")),
    **dict.fromkeys(("openstack", "guest-image", "kvm", "qemu", "libvirt", "proxmox", "cloud-qcow2"), ("qcow2", "")),
    **dict.fromkeys(("minimal-raw", "img", "image", "disk", "dd", "bin", "raw.img"), ("raw", "")),
    **dict.fromkeys(("minimal-raw-xz", "raw-xz", "img.xz"), ("raw.xz", "")),
    **dict.fromkeys(("minimal-raw-zst", "raw-zst", "img.zst"), ("raw.zst", "")),
    **dict.fromkeys(("container", "docker", "oci", "podman", "oci-image", "docker-archive"), ("oci-archive", "")),
    **dict.fromkeys(("vsphere", "vmware", "esxi", "workstation"), ("vmdk", "")),
    **dict.fromkeys(("vsphere-ova", "ovf"), ("ova", "")),
    **dict.fromkeys(("hyperv", "hyper-v"), ("vhdx", "")),
    **dict.fromkeys(("virtualbox", "vbox"), ("vdi", "")),
    **dict.fromkeys(("tarball", "rootfs", "directory", "dir"), ("tar", "")),
    **dict.fromkeys(("tgz", "tar-gz", "targz"), ("tar.gz", "")),
    **dict.fromkeys(("txz", "tar-xz", "tarxz"), ("tar.xz", "")),
    **dict.fromkeys(("initrd", "initramfs"), ("cpio.gz", "")),
    **dict.fromkeys(("live-iso", "live", "livecd", "usb", "cd"), ("iso", "it is a live system")),
    **dict.fromkeys(("netboot", "pxe-tar-xz"), ("pxe", "")),
    **dict.fromkeys(("wsl2",), ("wsl", "")),
    **dict.fromkeys(("image-installer", "live-installer", "network-installer", "anaconda-iso"), ("", _INSTALLER)),
    **dict.fromkeys(("minimal-installer", "bootc-installer", "workstation-live-installer"), ("", _INSTALLER)),
}
_OSTREE_FORMAT = re.compile(r"(edge|iot|ostree)(-.*)?|.*-ostree(-.*)?")
_LEFT_OUT = re.compile(r"-\s?([A-Za-z0-9@][A-Za-z0-9+._@^-]*)")
_LEFT_OUT_BY_APT = re.compile(r"([a-z0-9][a-z0-9+.-]{0,60}[a-z0-9+.])-")
_SOURCES_LINE = re.compile(r"deb(?:-src)?\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<url>\S+)\s+(?P<suite>\S+)(?P<rest>.*)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")

_CODE_NAMES = {
    **{"buster": "debian-10", "bullseye": "debian-11", "bookworm": "debian-12", "trixie": "debian-13"},
    **{"forky": "debian-14", "stable": "debian", "testing": "debian", "sid": "debian", "unstable": "debian"},
}
_OF_RHEL = ("almalinux", "centos", "rocky")  # made from the sources of RHEL
_LIKE_RHEL = re.compile(r"(?:rhel|redhat|red-hat|ol|oracle|oraclelinux|scientific|el)[-_ ]?(?P<version>\d+)?.*")


@dataclass(frozen=True)
class Advice:
    """What to do about a value, and what was probably meant, if that is clear."""

    hint: str
    suggestion: str = ""


def about_value(key: str, value: str) -> Advice | None:
    """Advice about a text below that key of a blueprint, if another tool would take it."""
    return _VALUES[key](value.strip()) if key in _VALUES else None


def _format(word: str) -> Advice | None:
    word = word.lower().replace("_", "-")
    if _OSTREE_FORMAT.fullmatch(word):
        return Advice(_OSTREE)
    if word not in _FORMATS:
        return None
    ours, why = _FORMATS[word]
    return Advice(f"did you mean `{ours}`? {why}".rstrip() if ours else why, ours)


def _package(word: str) -> Advice | None:
    match = _LEFT_OUT.fullmatch(word)
    if match and match[1].startswith("@"):
        return Advice("a group is not installed unless it is named; its packages can be left out one by one: `exclude`")
    match = match or _LEFT_OUT_BY_APT.fullmatch(word)
    return Advice(f"to leave it out, write: exclude: [{match[1]}]") if match else None


def _repository(text: str) -> Advice | None:
    if match := _SOURCES_LINE.fullmatch(text):
        components = match["rest"].split()
        fields = f"url: {match['url']}, suites: [{match['suite']}]"
        fields += f", components: [{', '.join(components)}]" if components else ""
        fields += ", keys: [FILE]" if "signed-by" in (match["options"] or "") else ""
        fields += ", check_signatures: false" if "trusted=yes" in (match["options"] or "") else ""
        return Advice(f"write it as a mapping: {{{fields}}}")
    if text.startswith("ppa:"):
        return Advice("a PPA is for Ubuntu; a repository is a mapping: {url: ADDRESS, suites: [SUITE]}")
    if _ADDRESS.fullmatch(text):
        return Advice(
            f"write it as a mapping: {{url: {text}, suites: [SUITE]}}, or {{id: NAME, baseurl: {text}}} for RPM"
        )
    return None


def _locale(text: str) -> Advice | None:
    match = re.fullmatch(r"([A-Za-z]{2,3})[-_]([A-Za-z]{2})([.@].*)?", text)
    if match is None:
        return None
    ours = f"{match[1].lower()}_{match[2].upper()}.UTF-8"
    return Advice(f"did you mean `{ours}`?", ours)


def _keyboard(text: str) -> Advice | None:
    if match := re.fullmatch(r"([a-z]{2,3})\s*[(:, ]\s*([a-z0-9_-]+)\s*\)?", text):
        return Advice(f"a layout's variant is a part of its name, such as {match[1]}-{match[2]}")
    lower = text.lower()
    return Advice(f"did you mean `{lower}`?", lower) if re.fullmatch(r"[A-Za-z]{2,3}", text) and lower != text else None


def _architecture(word: str) -> Advice | None:
    word = word.lower()
    if word in ("amd64", "x64", "x86-64", "intel64"):
        return Advice("did you mean `x86_64`?", "x86_64")
    if word in ("arm64", "armv8", "arm64v8"):
        return Advice("did you mean `aarch64`?", "aarch64")
    if word in (
        "i386",
        "i486",
        "i586",
        "i686",
        "x86",
        "armhf",
        "armel",
        "armv7l",
        "arm",
        "riscv64",
        "ppc64le",
        "s390x",
    ):
        return Advice("images for other architectures are not made here; `compose distros` lists those of each release")
    return None


_VALUES: dict[str, Callable[[str], Advice | None]] = {
    "arch": _architecture,
    "locale": _locale,
    "languages": _locale,
    "keyboard": _keyboard,
    "formats": _format,
    "format": _format,
    "packages": _package,
    "repositories": _repository,
}


def about_release(name: str, known: Iterable[str]) -> Advice | None:
    """Advice about a distribution that is not among the known ones, if others name it so."""
    releases = sorted(known)
    word = name.lower().strip()
    word = _CODE_NAMES.get(word, word)
    if word in releases:
        return Advice(f"did you mean `{word}`?", word)
    if match := _LIKE_RHEL.fullmatch(word):
        same = [one for one in releases if one in {f"{family}-{match['version']}" for family in _OF_RHEL}]
        others = [one for one in releases if one.rpartition("-")[0] in _OF_RHEL]
        return Advice(f"made from the sources of RHEL are: {', '.join(same or others)}") if others else None
    family, _, version = word.replace("centos-stream", "centos").partition("-")
    of_family = [one for one in releases if one.rpartition("-")[0] == family]
    if of_family and version.partition(".")[0].isdecimal():
        exact = f"{family}-{version.partition('.')[0]}"
        if exact in of_family:
            return Advice(f"did you mean `{exact}`?", exact)
        near = min(of_family, key=lambda one: abs(_number(one) - _number(f"{family}-{version}")))
        return Advice(f"of {family} there are: {', '.join(of_family)}", near)
    if family in ("ubuntu", "linuxmint", "mint", "raspbian", "kali"):
        return Advice("there is no template for it; `--templates` takes your own, on top of Debian's")
    return None


def _number(release: str) -> int:
    digits = re.match(r"\d{1,4}", release.rpartition("-")[2])
    return int(digits[0]) if digits else 0
