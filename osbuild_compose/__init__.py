"""From one YAML blueprint to a bootable, reproducible disk image.

The names below are the Python API, which docs/reference/python-api.md describes. Each is imported when it is first
used, so that `import osbuild_compose` is quick.
"""

TYPE_CHECKING = False  # as in typing, which takes time to import: signals.py should be imported soon
if TYPE_CHECKING:
    from typing import Any

    from osbuild_compose.blueprint.formats import Format
    from osbuild_compose.blueprint.model import Blueprint
    from osbuild_compose.boot import Machine
    from osbuild_compose.errors import BuildError, ComposeError, HostError, InputError, TemplateError
    from osbuild_compose.images import BuiltImage, Image
    from osbuild_compose.inspecting.inspection import inspect
    from osbuild_compose.problem import Problem, Severity
    from osbuild_compose.project import Project
    from osbuild_compose.runner_client import RunnerSettings
    from osbuild_compose.version import __version__

_MODULES = {
    "Blueprint": "blueprint.model",
    "BuildError": "errors",
    "BuiltImage": "images",
    "ComposeError": "errors",
    "Format": "blueprint.formats",
    "HostError": "errors",
    "Image": "images",
    "InputError": "errors",
    "Machine": "boot",
    "Problem": "problem",
    "Project": "project",
    "RunnerSettings": "runner_client",
    "Severity": "problem",
    "TemplateError": "errors",
    "__version__": "version",
    "inspect": "inspecting.inspection",
}

__all__ = [
    "Blueprint",
    "BuildError",
    "BuiltImage",
    "ComposeError",
    "Format",
    "HostError",
    "Image",
    "InputError",
    "Machine",
    "Problem",
    "Project",
    "RunnerSettings",
    "Severity",
    "TemplateError",
    "__version__",
    "inspect",
]


def __getattr__(name: str) -> "Any":
    from importlib import import_module  # noqa: PLC0415

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
