"""What to compile: a blueprint, its image files, and where packages are read from."""

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
    """The images `outputs` of the blueprint, all made in one run.

    mirrors are the release's repositories with the URLs to read from during the build; `instead` replaces these and the
    blueprint's repositories during the build. The image itself always gets the official URLs, or the blueprint's own.
    build_root: the packages of a build root to make instead of images.
    """

    blueprint: Blueprint
    outputs: tuple[Output, ...]
    catalog: Catalog
    mirrors: tuple[Repository, ...]
    instead: tuple[NamedRepository, ...] = ()
    build_root: tuple[str, ...] = ()

    @cached_property
    def release(self) -> Release:
        """The blueprint's release. Raises TemplateError if one of its signing keys cannot be read."""
        return self.catalog.release(self.blueprint.distro)

    @property
    def architecture(self) -> Architecture:
        """The architecture; another one of the release's if it does not have the blueprint's."""
        known = self.release.architectures
        return known.get(self.blueprint.arch) or next(iter(known.values()))

    @cached_property
    def layout(self) -> Layout:
        """The layout of the blueprint's disk."""
        firmware = tuple(Firmware(name) for name in self.architecture.firmware)
        return resolve(self.blueprint.disk, self.blueprint.name, self.blueprint.arch, firmware)

    def official(self) -> "BuildRequest":
        """The same request with packages from their official URLs."""
        return replace(self, mirrors=self.release.repositories, instead=())
