"""Which kernel the images of a request get, and why."""

from dataclasses import dataclass

from osbuild_compose.blueprint.values.package_file import package_of
from osbuild_compose.compile import own_repositories
from osbuild_compose.compile.kernel_names import named_in
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.distro.repository import Use


@dataclass(frozen=True)
class Kernel:
    """The packages of the kernel, in the package manager's notation, and the reason for the choice, for people.

    base: those that are installed with the base system. added: those that the blueprint's packages are installed with,
    since only its own repositories may have them, and which `packages` does not name. others: further kernels that
    `packages` names.
    """

    packages: tuple[str, ...]
    reason: str = ""
    base: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def chosen(request: BuildRequest) -> Kernel:
    """The kernel of the images: the one that the blueprint names, or else the release's for these formats.

    A kernel that the blueprint names may be in a repository of its own, from which the base system is not installed:
    with such repositories that is left without a kernel, unless `kernel.package` is one of the release's own.
    """
    blueprint, architecture = request.blueprint, request.architecture
    by_key = blueprint.kernel.package
    in_files = named_in((package_of(file.url) for file in blueprint.package_files), request.release)
    named = (*named_in(blueprint.packages, request.release), *in_files)
    if request.is_container:
        formats = dict.fromkeys(str(output.format) for output in request.outputs)
        return Kernel(named, "`packages` names it" if named else f"containers have none: {', '.join(formats)}")
    if by_key or named:
        packages = (by_key,) if by_key else named
        reason = "`kernel.package` names it" if by_key else "`packages` names it"
        others = tuple(package for package in named if by_key and package != by_key)
        is_own = by_key in (architecture.kernel, architecture.hardware_kernel)
        # A file is no package of the repositories: it comes with the blueprint's packages.
        if not is_own and (_has_more_repositories(request) or (in_files and not by_key)):
            return Kernel(packages, reason, added=packages if by_key else (), others=others)
        return Kernel(packages, reason, base=packages, others=others)
    of_machines = dict.fromkeys(output.format for output in request.outputs)
    for_hardware = [str(item) for item in of_machines if item.traits.for_hardware]
    if for_hardware and architecture.hardware_kernel:
        only = (architecture.hardware_kernel,)
        return Kernel(only, f"has drivers for any hardware: {', '.join(for_hardware)}", base=only)
    only = (architecture.kernel,)
    reason = (
        f"has drivers for virtual machines: {', '.join(map(str, of_machines))}" if architecture.hardware_kernel else ""
    )
    return Kernel(only, reason, base=only)


def _has_more_repositories(request: BuildRequest) -> bool:
    """Whether the blueprint's packages are installed from more repositories than the base system."""
    if request.instead or not request.blueprint.repositories.default:
        return False
    own = own_repositories.usable(request.blueprint, request.release)
    return any(item.use is not Use.IMAGE for item in own)
