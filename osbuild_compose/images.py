"""The images of blueprints: rendered to pipelines, and built."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile.kernel import Kernel
from osbuild_compose.errors import ComposeError, InputError

if TYPE_CHECKING:
    from osbuild_compose.report import events


@dataclass(frozen=True)
class Image:
    """What one blueprint is rendered to: the pipeline (JSON) that makes its images, their formats, and their kernel.

    file_name is that of the image files without their extensions. passphrases are the texts of those that the pipeline
    refers to by name.
    """

    blueprint: Blueprint
    formats: tuple[Format, ...]
    pipeline: bytes
    kernel: Kernel
    file_name: str
    passphrases: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def filenames(self) -> list[str]:
        """The names of the image files, in the order of the formats."""
        return [f"{self.file_name}{item.extension}" for item in self.formats]


@dataclass(frozen=True)
class BuiltImage:
    """What a build made of an Image: the files, and osbuild's ids of the tree and the output.

    error says why it failed; it is None for an image that was built. result is the runner's: sizes and digests of the
    files, and the steps that ran or came from the store.
    """

    image: Image
    files: tuple[Path, ...]
    tree_id: str | None
    output_id: str | None
    error: ComposeError | None = None
    result: "events.PipelineResult | None" = None


def names(images: Sequence[Image]) -> list[str]:
    """Their files' names, with the formats where one blueprint has several images."""
    found = [image.file_name for image in images]
    return [
        name if found.count(name) == 1 else f"{name} ({', '.join(image.formats)})"
        for name, image in zip(found, images, strict=True)
    ]


def all_passphrases(images: Iterable[Image]) -> dict[str, str]:
    """The passphrases of all images, by their names."""
    return {name: text for image in images for name, text in image.passphrases.items()}


def with_distinct_names(images: list[Image]) -> list[Image]:
    """The images themselves. Raises InputError when two of them would have the same file name."""
    seen: dict[str, Image] = {}
    for image in images:
        for name in image.filenames:
            if name in seen:
                raise _same_name(name, seen[name], image)
            seen[name] = image
    return images


def _same_name(name: str, first: Image, second: Image) -> InputError:
    """The error that both images would be the file `name`."""
    of_first, of_second = first.blueprint.document, second.blueprint.document
    where = of_second.at_value(["name"]) if of_second else None
    if of_first and of_second and of_first.file == of_second.file:
        hint = "name the blueprint once; for several profiles, write `${profile}` into `--name` or `output.name`"
        return InputError(f"two images of {of_second.file} would be {name}", hint=hint, location=where)
    return InputError(f"two images would be called {name}; give them different names", location=where)
