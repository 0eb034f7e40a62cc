"""What of a blueprint a container has: no kernel, no disk, and services only where something starts them."""

from collections.abc import Iterable
from dataclasses import replace

from osbuild_compose.blueprint.formats import Contents, Output
from osbuild_compose.blueprint.model import Blueprint, Kernel, Modprobe, Services
from osbuild_compose.disk.model import Bootloader, Disk
from osbuild_compose.distro.model import Release


def is_container(outputs: Iterable[Output]) -> bool:
    """Whether all of the outputs have the files of a container."""
    return all(output.contents is Contents.CONTAINER for output in outputs)


def has_init(blueprint: Blueprint, outputs: Iterable[Output], release: Release) -> bool:
    """Whether the containers have a program that starts services.

    They do if the blueprint has anything to start, or names one of the release's packages with such a program. A
    container whose only format says which program it runs has no use for another.
    """
    packages = release.variables.get("init_packages", ())
    asked = (
        blueprint.services.enabled
        or blueprint.services.default_target
        or blueprint.units
        or blueprint.timers
        or blueprint.first_boot
        or blueprint.cloud_init is not None
        or any(release.family.name_of(package) in packages for package in blueprint.packages)
    )
    return bool(asked) and not all(output.runs_one_program for output in outputs)


def contained(blueprint: Blueprint, outputs: Iterable[Output], release: Release) -> Blueprint:
    """The blueprint without what only other outputs than these containers can have."""
    rest = replace(
        blueprint,
        timeservers=(),
        keyboard=None,
        firewall=None,
        network=None,
        selinux=None,
        fips=False,
        modprobe=Modprobe(),
        udev_rules=(),
        initramfs=None,
        kernel=Kernel(),
        disk=Disk(bootloader=Bootloader.NONE),
    )
    if has_init(blueprint, outputs, release):
        return rest
    return replace(rest, services=Services(), units=(), timers=(), first_boot=(), cloud_init=None)
