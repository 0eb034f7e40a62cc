"""What to compile: a blueprint, what is to be made of it, and where packages are read from."""

from dataclasses import dataclass, replace
from functools import cached_property

from osbuild_compose.blueprint.formats import Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.disk.model import Firmware, Layout
from osbuild_compose.disk.resolve import resolve
from osbuild_compose.distro.catalog import Catalog
from osbuild_compose.distro.model import Architecture, Release
from osbuild_compose.distro.repository import NamedRepository, Repository


@dataclass(frozen=True)
class BuildRequest:
    """The images `outputs` of the blueprint, all of one run.

    mirrors are the release's repositories with the addresses to read from while building, `instead` what to read from
    instead of these and of the blueprint's; what ends up in the image is always the official address, or the
    blueprint's own. build_root: packages to make of them, instead of images, a root that stages can run in.
    """

    blueprint: Blueprint
    outputs: tuple[Output, ...]
    catalog: Catalog
    mirrors: tuple[Repository, ...]
    instead: tuple[NamedRepository, ...] = ()
    build_root: tuple[str, ...] = ()

    @cached_property
    def release(self) -> Release:
        """The blueprint's release. Raises TemplateError when one of its keys cannot be had."""
        return self.catalog.release(self.blueprint.distro)

    @property
    def architecture(self) -> Architecture:
        """The release's architecture; one of its others where it is not made for the blueprint's."""
        known = self.release.architectures
        return known.get(self.blueprint.arch) or next(iter(known.values()))

    @cached_property
    def layout(self) -> Layout:
        """The layout of the blueprint's disk."""
        firmware = tuple(Firmware(name) for name in self.architecture.firmware)
        return resolve(self.blueprint.disk, self.blueprint.name, self.blueprint.arch, firmware)

    def official(self) -> "BuildRequest":
        """The same, with packages from their official addresses."""
        return replace(self, mirrors=self.release.repositories, instead=())
