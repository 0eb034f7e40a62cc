"""What to compile: a blueprint, its image files, and where packages are read from."""

from dataclasses import dataclass, replace
from functools import cached_property

from osbuild_compose.blueprint.formats import Contents, Format, Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.blueprint.values.package_file import package_of
from osbuild_compose.compile import container
from osbuild_compose.compile.kernel_names import named_in
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
    build_root: the packages of a build root to make instead of images. file_name: the image files' name without the
    extension; the blueprint's name if it is empty.
    """

    blueprint: Blueprint
    outputs: tuple[Output, ...]
    catalog: Catalog
    mirrors: tuple[Repository, ...]
    instead: tuple[NamedRepository, ...] = ()
    build_root: tuple[str, ...] = ()
    file_name: str = ""

    @cached_property
    def release(self) -> Release:
        """The blueprint's release. Raises TemplateError if one of its signing keys cannot be read."""
        return self.catalog.release(self.blueprint.distro)

    @property
    def is_container(self) -> bool:
        """Whether the images are of containers."""
        return container.is_container(self.outputs)

    @property
    def has_init(self) -> bool:
        """Whether the images have a program that starts services."""
        return not self.is_container or container.has_init(self.blueprint, self.outputs, self.release)

    @property
    def architecture(self) -> Architecture:
        """The architecture; another one of the release's if it does not have the blueprint's."""
        known = self.release.architectures
        return known.get(self.blueprint.arch) or next(iter(known.values()))

    @cached_property
    def layout(self) -> Layout:
        """The layout of the blueprint's disk."""
        firmware = tuple(Firmware(name) for name in self.architecture.firmware)
        layout = resolve(self.blueprint.disk, self.blueprint.name, self.blueprint.arch, firmware)
        if self.file_name in ("", self.blueprint.name):
            return layout  # the same object for all requests
        return replace(layout, file_name=self.file_name)

    def filename(self, image_format: Format) -> str:
        """The name of the image file in this format."""
        return f"{self.file_name or self.blueprint.name}{image_format.extension}"

    def official(self) -> "BuildRequest":
        """The same request with packages from their official URLs."""
        return replace(self, mirrors=self.release.repositories, instead=())


def of_outputs(blueprint: Blueprint, outputs: tuple[Output, ...], release: Release) -> Blueprint:
    """What of the blueprint these outputs can have."""
    if not container.is_container(outputs):
        return blueprint
    return container.contained(blueprint, outputs, release)


def by_contents(request: BuildRequest) -> list[BuildRequest]:
    """The requests for the images of machines and for those of containers, as far as there are any."""
    groups = [tuple(output for output in request.outputs if output.contents is contents) for contents in Contents]
    found = [
        replace(request, blueprint=of_outputs(request.blueprint, group, request.release), outputs=group)
        for group in groups
        if group
    ]
    return [_without_kernels(one) if one.is_container and found[1:] else one for one in found]


def _without_kernels(request: BuildRequest) -> BuildRequest:
    """The request for containers of a blueprint that also makes machines, whose kernel `packages` may name."""
    blueprint = request.blueprint
    kernels = named_in(blueprint.packages, request.release)
    rest = tuple(package for package in blueprint.packages if package not in kernels)
    files = tuple(file for file in blueprint.package_files if not named_in([package_of(file.url)], request.release))
    return replace(request, blueprint=replace(blueprint, packages=rest, package_files=files))
