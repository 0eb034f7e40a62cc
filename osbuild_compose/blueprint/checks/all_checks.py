"""All checks of a blueprint that its schema cannot express.

The checks take unvalidated data and skip values of the wrong form, so that their errors are reported together with the
schema's.
"""

from typing import Any

from osbuild_compose.blueprint.checks import accounts, containers, files, network, packages, services, system
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.problem import Problem


def problems(data: Any, local_files: LocalFiles) -> list[Problem]:
    """All errors and warnings except those of `disk` and `formats`. Reads the files that the blueprint names."""
    return [
        *accounts.problems(data),
        *packages.problems(data, local_files),
        *system.problems(data, local_files),
        *services.problems(data),
        *network.problems(data),
        *files.problems(data, local_files),
        *containers.problems(data, local_files),
    ]
