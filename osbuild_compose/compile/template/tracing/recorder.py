"""Proxies that record which fields of the blueprint a template reads."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from osbuild_compose.document.node import Trail

Reader = Callable[[Trail], None]


def recorded(value: Any, trail: Trail, read: Reader) -> Any:
    """A proxy for the value that calls `read` with the trail, below `trail`, of each field that is read.

    It reaches into dataclasses and tuples of them; any other value is read as a whole.
    """
    if is_dataclass(value) and not isinstance(value, type):
        copy: Any = object.__new__(_recording(type(value)))
        for name, content in vars(value).items():
            object.__setattr__(copy, name, content)
        object.__setattr__(copy, "_compose_read", read)
        object.__setattr__(copy, "_compose_trail", trail)
        return copy
    if isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        return tuple(recorded(item, (*trail, index), read) for index, item in enumerate(value))
    return value


def recorded_context(context: Mapping[str, Any], read: Reader) -> dict[str, Any]:
    """The variables of a template, calling `read` for blueprint values that are read directly or in another form."""
    as_whole: dict[str, Trail] = {
        "blueprint": (),
        "release": ("distro",),
        "architecture": ("arch",),
        "repositories": ("repositories",),
        "base_repositories": ("repositories",),
        "own_repositories": ("repositories",),
        "image_repositories": ("repositories",),
        "local_repository_files": ("repositories",),
        "pins": ("repositories",),
        "image_pins": ("repositories",),
    }
    by_key: dict[str, dict[str, tuple[Trail, ...]]] = {
        "requested": {"names": (("packages",),), "base_answers": (("debconf",),)},
        "services": {name: (("services", name),) for name in context["services"]},
        # Fields of `image` are derived from the disk unless another origin is listed here.
        "image": {
            **dict.fromkeys(context["image"], (("disk",),)),
            **dict.fromkeys(("format", "is_disk", "is_live"), (("formats",),)),
            **dict.fromkeys(("filename", "outputs", "tar"), (("name",), ("formats",))),
            **dict.fromkeys(("identity", "root_fs_uuid", "boot_fs_uuid"), (("name",),)),
            "qemu": (("name",), ("formats",), ("disk",)),
        },
    }
    return {
        **context,
        **{name: recorded(context[name], trail, read) for name, trail in as_whole.items()},
        **{name: RecordedFields(context[name], trails, read) for name, trails in by_key.items()},
    }


class RecordedFields(dict[str, Any]):
    """A mapping whose keys are derived from blueprint values; `trails` has those of each key."""

    def __init__(self, values: Mapping[str, Any], trails: Mapping[str, tuple[Trail, ...]], read: Reader) -> None:
        super().__init__(values)
        self._trails = trails
        self._read = read

    def __getitem__(self, key: str) -> Any:
        for trail in self._trails.get(key, ()):
            self._read(trail)
        return super().__getitem__(key)


@cache
def _recording(kind: type) -> type:
    """A recording subclass of `kind` whose instances are equal to its own, so that templates see no difference."""
    names = frozenset(field.name for field in fields(kind))

    def get(self: Any, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name not in names:
            return value
        own = vars(self)
        trail = (*own["_compose_trail"], name)
        own["_compose_read"](trail)
        return recorded(value, trail, own["_compose_read"])

    def equal(self: Any, other: object) -> bool:
        return isinstance(other, kind) and all(vars(self)[name] == vars(other)[name] for name in names)

    return type(
        f"Recorded{kind.__name__}", (kind,), {"__getattribute__": get, "__eq__": equal, "__hash__": kind.__hash__}
    )
