"""Trees written as dictionaries in tests."""

from collections.abc import Mapping

from osbuild_compose.inspecting.tree import Entry, FileType, Tree


class Written(Tree):
    """A tree of texts by their paths; "-> x" is a symlink to x. was_read has the paths that were read."""

    def __init__(self, texts: Mapping[str, str | bytes]) -> None:
        self._contents = {path: text.encode() if isinstance(text, str) else text for path, text in texts.items()}
        self.was_read: list[str] = []
        entries = {}
        for path, content in self._contents.items():
            link = content.startswith(b"-> ")
            target = content[3:].decode() if link else ""
            entries[path] = Entry(FileType.SYMLINK if link else FileType.FILE, 0 if link else len(content), target)
        super().__init__(entries.items())

    def content(self, path: str, limit: int) -> bytes:
        self.was_read.append(path)
        return self._contents[path][:limit]
