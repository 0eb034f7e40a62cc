"""A YAML file as a document: plain data in which every key and value has its place."""

import re
import stat
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.reader import ReaderError

from osbuild_compose.document import yaml_errors
from osbuild_compose.document.builder import BoundedComposer, Builder
from osbuild_compose.document.node import Node, Source, Step, Trail, find, plain
from osbuild_compose.errors import InputError, Location
from osbuild_compose.problem import as_error

__all__ = ["Document", "EmptyError", "Step", "Trail", "parse", "read"]

MAX_BYTES = 4 * 1024 * 1024

_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")  # all that YAML takes for one


@dataclass(frozen=True)
class Document:
    """What a YAML file says, with what was put on top of it. data is the tree's, in the types of JSON only."""

    file: str
    tree: Node
    data: Any

    @classmethod
    def of(cls, file: str, tree: Node) -> "Document":
        """The document of a tree; `file` is what the paths in it are relative to."""
        return cls(file, tree, plain(tree))

    def at_key(self, trail: Sequence[Step]) -> Location:
        """Where the key at the end of the trail stands; for a list's item, where the item does."""
        node, whole = self.find(trail)
        return (node.key if whole and node.key else node.place).location

    def at_value(self, trail: Sequence[Step]) -> Location:
        """Where the value stands, or the nearest thing around it when it is not in the file."""
        return self.find(trail)[0].place.location

    def find(self, trail: Sequence[Step]) -> tuple[Node, bool]:
        """The value at the end of the trail and True, or the last one on the way to it and False."""
        return find(self.tree, trail)


class EmptyError(InputError):
    """A file that says nothing."""


def read(path: Path, *, regular: bool = False) -> Document:
    """Read the YAML file at `path`; "-" is not special. regular: no pipes or devices, which could make us wait.

    Raises InputError(s) for anything that is not a document.
    """
    name = str(path)
    try:
        if regular and not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise InputError(f"{name} is not a file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {name}", hint="check the path and its spelling") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a directory", hint="give the blueprint's YAML file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {name}: {reason}") from None
    return parse(raw, name)


def parse(raw: bytes, file: str) -> Document:
    """Turn the bytes of a YAML file into a Document; `file` is its name for messages.

    Raises InputError: for wrong syntax the first error, for duplicate keys and unknown tags a DocumentError with all.
    """
    if len(raw) > MAX_BYTES:
        raise InputError(
            f"the file is larger than {MAX_BYTES // 1024**2} MiB",
            hint="keep large content in files of its own, or in a package",
            location=Location(file),
        )
    text = _decode(raw, file)
    source = Source(file, tuple(_LINE_END.split(text)))
    try:
        root = _compose(text)
    except MarkedYAMLError as error:
        raise yaml_errors.problem(error, source) from None
    except ReaderError as error:
        raise yaml_errors.character(error, text, source) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise yaml_errors.other(error, source) from None
    return _document(root, source)


def _compose(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = BoundedComposer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it
        return yaml.compose(text)


def _document(root: Any, source: Source) -> Document:
    builder = Builder(source)
    tree = None if root is None else builder.build(root, ())
    if builder.problems:
        raise as_error(builder.problems)
    if tree is None or tree.value is None:
        raise EmptyError(
            "the file is empty", hint="`compose init` writes a first blueprint", location=Location(source.file)
        )
    return Document.of(source.file, tree)


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = raw.rfind(b"\n", 0, error.start) + 1
        line = raw.count(b"\n", 0, error.start)
        text = raw[start:].split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", errors="replace")
        column = len(raw[start : error.start].decode("utf-8", errors="replace"))
        return yaml_errors.not_utf8(raw[error.start], Location(file, line + 1, column + 1, text))
