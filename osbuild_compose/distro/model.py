"""A distribution's releases and architectures, as its distro.yaml describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from osbuild_compose.distro.family.protocol import Archive, Family
from osbuild_compose.distro.repository import Repository


@dataclass(frozen=True)
class Architecture:
    """A processor architecture as the distribution knows it.

    kernel: its package; hardware_kernel: that of formats which are started on any machine, if it is another one.
    bootloader: the packages of GRUB for BIOS; uefi: those of GRUB for UEFI on top; systemd_boot: those of systemd-boot
    instead; firmware: what images boot with unless a blueprint says otherwise.
    """

    name: str
    kernel: str
    hardware_kernel: str | None = None
    bootloader: tuple[str, ...] = ()
    uefi: tuple[str, ...] = ()
    systemd_boot: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ("bios",)


@dataclass(frozen=True)
class Release:
    """A distribution's release. `template` is the pipeline template's name for the template engine.

    All its repositories have the form of its family. Their keys may still be names of files: see keys.py.
    """

    name: str
    title: str
    template: str
    family: Family
    architectures: Mapping[str, Architecture]
    repositories: tuple[Repository, ...]
    packages: tuple[str, ...]
    archives: Mapping[str, Archive] = field(default_factory=dict)
    build_packages: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    enabled_services: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
