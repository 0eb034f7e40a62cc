"""What is known of a distribution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from osbuild_compose.distro.repository import Repository, RpmRepository


@dataclass(frozen=True)
class Architecture:
    """A processor architecture as the distribution knows it.

    bootloader: the packages of GRUB for BIOS; uefi: those of GRUB for UEFI on top; systemd_boot: those of systemd-boot
    instead; firmware: what images boot with unless a blueprint says otherwise.
    """

    name: str
    kernel: str
    bootloader: tuple[str, ...] = ()
    uefi: tuple[str, ...] = ()
    systemd_boot: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ("bios",)


@dataclass(frozen=True)
class Release:
    """A distribution's release. `template` is the pipeline template's name for the template engine.

    All its repositories are of one kind. Their keys may still be names of files: see keys.py.
    """

    name: str
    title: str
    template: str
    architectures: Mapping[str, Architecture]
    repositories: tuple[Repository, ...]
    packages: tuple[str, ...]
    build_packages: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    enabled_services: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_rpm(self) -> bool:
        """Whether its packages are RPMs; otherwise they are Debian's."""
        return isinstance(self.repositories[0], RpmRepository)
