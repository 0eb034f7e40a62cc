"""Trees: the files of an image, in any kind of file system and archive behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

MAX_SYMLINKS = 40  # the kernel's own limit, path_resolution(7)
MAX_ENTRIES = 2_000_000  # of a tree; no real system has more
MAX_TARGET = 4096  # characters of a symlink's target, as in Linux
_MAX_PATHS = 256 * 1024**2  # characters of all paths of a tree together
MAX_READ = 64 * 1024**2  # bytes of a file, unless the caller gives a limit


class FileType(Enum):
    """The kinds of directory entries."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    DEVICE = "device"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory or symlink. size is in bytes; target is that of a symlink.

    handle identifies the content within the tree; entries with the same handle are hard links to one file.
    """

    kind: FileType
    size: int = 0
    target: str = ""
    handle: Hashable = None


class TooMuchError(ValueError):
    """The image claims to have more of something than any real image has."""


class Tree(ABC):
    """Entries by their absolute paths. Names are decoded as Python decodes file names, with surrogateescape."""

    def __init__(self, found: Iterable[tuple[str, Entry]]) -> None:
        """found may lack the directories of its files; of several entries with one path the last counts.

        Raises TooMuchError before the entries fill the memory.
        """
        self.entries = {"/": Entry(FileType.DIRECTORY)}
        length = 0
        for count, (path, entry) in enumerate(found):
            length += self._add(path, entry)
            if max(count, len(self.entries)) > MAX_ENTRIES or length > _MAX_PATHS:
                raise TooMuchError(f"it has more than {MAX_ENTRIES} files, or too long names")

    def _add(self, path: str, entry: Entry) -> int:
        """Add an entry and the directories above it. Returns the number of characters of the new paths."""
        length = 0 if path in self.entries else len(path)
        self.entries[path] = entry
        while (path := path.rpartition("/")[0]) and path not in self.entries:
            self.entries[path] = Entry(FileType.DIRECTORY)
            length += len(path)
            if length > _MAX_PATHS:
                break
        return length

    @abstractmethod
    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`, which is one of the entries and not a symlink.

        Raises OSError, or ToolError if the program that reads it fails.
        """

    @cached_property
    def _children(self) -> Mapping[str, list[str]]:
        children: dict[str, list[str]] = {}
        for path in self.entries:
            if path != "/":
                above, _, name = path.rpartition("/")
                children.setdefault(above or "/", []).append(name)
        return {path: sorted(names) for path, names in children.items()}

    def names(self, path: str) -> list[str]:
        """The sorted names in the directory; none if it does not exist. Symlinks are followed."""
        return self._children.get(self.resolve(path) or "", [])

    def resolve(self, path: str) -> str | None:
        """The path with all symlinks resolved, as in the booted system; None if it does not exist or is a loop."""
        todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
        here = ""
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                here = here.rpartition("/")[0]
                continue
            entry = self.entries.get(f"{here}/{part}")
            if entry is None:
                return None
            if entry.kind is not FileType.SYMLINK:
                here = f"{here}/{part}"
                continue
            links += 1
            if links > MAX_SYMLINKS:
                return None
            here = "" if entry.target.startswith("/") else here
            todo += [one for one in entry.target.split("/") if one not in ("", ".")][::-1]
        return here or "/"

    def entry(self, path: str) -> Entry | None:
        """The entry at the path, or None. Symlinks are followed."""
        found = self.resolve(path)
        return self.entries[found] if found else None

    def link(self, path: str) -> str | None:
        """The target of the symlink at the path, as it is written; None if there is none."""
        above, _, name = path.rpartition("/")
        directory = self.resolve(above or "/")
        entry = self.entries.get(f"{(directory or '').rstrip('/')}/{name}") if directory else None
        return entry.target if entry and entry.kind is FileType.SYMLINK else None

    def is_file(self, path: str) -> bool:
        """Whether the path is a file. Symlinks are followed."""
        entry = self.entry(path)
        return entry is not None and entry.kind is FileType.FILE

    def is_directory(self, path: str) -> bool:
        """Whether the path is a directory. Symlinks are followed."""
        entry = self.entry(path)
        return entry is not None and entry.kind is FileType.DIRECTORY

    def read(self, path: str, limit: int = MAX_READ) -> bytes | None:
        """The first `limit` bytes of the file at the path, or None if it is not a file. Symlinks are followed.

        Raises as content() does.
        """
        found = self.resolve(path)
        if found is None or self.entries[found].kind is not FileType.FILE:
            return None
        return self.content(found, limit)

    def text(self, path: str, limit: int = MAX_READ) -> str | None:
        """The same as text, with invalid UTF-8 replaced by U+FFFD."""
        content = self.read(path, limit)
        return None if content is None else content.decode(errors="replace")

    def files(self, path: str, suffix: str = "") -> Iterator[str]:
        """The paths of the files in a directory whose names end with the suffix."""
        for name in self.names(path):
            if name.endswith(suffix) and self.is_file(f"{path}/{name}"):
                yield f"{path.rstrip('/')}/{name}"


class MountedTrees(Tree):
    """Trees mounted into each other, by their mount points; a mount hides what is below its mount point."""

    def __init__(self, mounts: Mapping[str, Tree]) -> None:
        """mounts must have "/"."""
        self._mounts = dict(sorted(mounts.items(), key=lambda item: item[0].count("/") if item[0] != "/" else -1))
        super().__init__(self._mounted())

    def _mounted(self) -> Iterator[tuple[str, Entry]]:
        for point, tree in self._mounts.items():
            prefix = point.rstrip("/")
            hidden = tuple(f"{other}/" for other in self._mounts if other != point and other.startswith(f"{prefix}/"))
            for path, entry in tree.entries.items():
                if path != "/" and not f"{prefix}{path}/".startswith(hidden):
                    handle = (point, entry.handle if entry.handle is not None else path)
                    yield prefix + path, Entry(entry.kind, entry.size, entry.target, handle)
            yield point, Entry(FileType.DIRECTORY)

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        for point in reversed(self._mounts):
            prefix = point.rstrip("/")
            if path.startswith(f"{prefix}/"):
                return self._mounts[point].content(path.removeprefix(prefix), limit)
        raise AssertionError("every path is below /")


class Stacked(Tree):
    """Trees on top of each other, like unpacked archives."""

    def __init__(self, layers: Iterable[tuple[Tree, Iterable[str]]]) -> None:
        """layers are trees, lowest first, each with the paths to take from it."""
        self._owner: dict[str, Tree] = {}
        super().__init__(self._found(layers))

    def _found(self, layers: Iterable[tuple[Tree, Iterable[str]]]) -> Iterator[tuple[str, Entry]]:
        for layer, paths in layers:
            for path in paths:
                entry = layer.entries[path]
                self._owner[path] = layer
                yield path, Entry(entry.kind, entry.size, entry.target, (id(layer), entry.handle))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self._owner[path].content(path, limit)


class Subtree(Tree):
    """The part of another tree below a directory, such as a subvolume."""

    def __init__(self, tree: Tree, directory: str) -> None:
        self._tree = tree
        self._prefix = directory.rstrip("/")
        cut = len(self._prefix)
        super().__init__((path[cut:], e) for path, e in tree.entries.items() if path.startswith(f"{self._prefix}/"))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self._tree.content(self._prefix + path, limit)
