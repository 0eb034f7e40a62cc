"""Walking a file system whose program lists directories by their inodes: many in one run, a level at a time."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from osbuild_compose.inspecting.tree import Entry, Kind

_MAX_DEPTH = 400  # directories in each other
Listing = Iterable[tuple[str, Entry]]


def walk(root: Hashable, listings: Callable[[Sequence[Hashable]], Iterable[Listing]]) -> Iterator[tuple[str, Entry]]:
    """All entries below the directory `root`, by their paths.

    listings gives what is in each of the directories, whose handles it gets: names, and entries with such handles.
    """
    level: dict[Hashable, str] = {root: ""}
    seen = {root}
    for _ in range(_MAX_DEPTH):
        below: dict[Hashable, str] = {}
        for above, listing in zip(level.values(), listings(list(level)), strict=True):
            for name, entry in listing:
                if name in (".", "..", ""):
                    continue
                path = f"{above}/{name}"
                yield path, entry
                if entry.kind is Kind.DIRECTORY and entry.handle not in seen:  # a hostile one may be in itself
                    seen.add(entry.handle)
                    below[entry.handle] = path
        if not below:
            return
        level = below
