"""Which kernel the images of a request get, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from osbuild_compose.compile import own_repositories
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.distro.repository import Use

PATTERNS = "kernel_packages"
"""The variable of a distro.yaml with the names of kernel packages: shell patterns, those after a "!" being none."""


@dataclass(frozen=True)
class Kernel:
    """The packages of the kernel, in the package manager's notation, and the reason for the choice, for people.

    base: those that are installed with the base system. added: those that the blueprint's packages are installed with,
    since only its own repositories may have them, and which `packages` does not name.
    """

    packages: tuple[str, ...]
    reason: str = ""
    base: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def chosen(request: BuildRequest) -> Kernel:
    """The kernel of the images: the one that the blueprint names, or else the release's for these formats.

    A kernel that the blueprint names may be in a repository of its own, from which the base system is not installed:
    with such repositories that is left without a kernel, unless `kernel.package` is one of the release's own.
    """
    blueprint, architecture = request.blueprint, request.architecture
    by_key = blueprint.kernel.package
    named = named_in(blueprint.packages, request.release.variables.get(PATTERNS, ()))
    if by_key or named:
        packages = (by_key,) if by_key else named
        reason = "`kernel.package` names it" if by_key else "`packages` names it"
        is_own = by_key in (architecture.kernel, architecture.hardware_kernel)
        if not is_own and _has_more_repositories(request):
            return Kernel(packages, reason, added=packages if by_key else ())
        return Kernel(packages, reason, base=packages)
    formats = dict.fromkeys(output.format for output in request.outputs)
    for_hardware = [str(item) for item in formats if item.traits.for_hardware]
    if for_hardware and architecture.hardware_kernel:
        only = (architecture.hardware_kernel,)
        return Kernel(only, f"has drivers for any hardware: {', '.join(for_hardware)}", base=only)
    only = (architecture.kernel,)
    reason = f"has drivers for virtual machines: {', '.join(map(str, formats))}" if architecture.hardware_kernel else ""
    return Kernel(only, reason, base=only)


def _has_more_repositories(request: BuildRequest) -> bool:
    """Whether the blueprint's packages are installed from more repositories than the base system."""
    if request.instead or not request.blueprint.repositories.default:
        return False
    own = own_repositories.usable(request.blueprint, request.release)
    return any(item.use is not Use.IMAGE for item in own)


def named_in(packages: Iterable[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Those of the packages, which may have a version (`=`) or a suite (`/`), that are kernels by the patterns."""
    return tuple(package for package in packages if _is_kernel(package.split("=")[0].split("/")[0], patterns))


def _is_kernel(name: str, patterns: Sequence[str]) -> bool:
    are = [pattern for pattern in patterns if not pattern.startswith("!")]
    are_not = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return any(fnmatchcase(name, one) for one in are) and not any(fnmatchcase(name, one) for one in are_not)
