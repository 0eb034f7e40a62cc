"""The SELinux labels of a tree, for whatever makes an image of it.

A tree has no labels on its files but a record of what they are to be (stagelib.selinux). An image maker

* asks of_tree() for the labels and gives them to the files in the image,
* leaves selinux.RECORD out of the image, and
* leaves out what the files' own attribute security.selinux says: that is of the machine where the tree was made.

For makers that take labels from files only there is stagelib.disk.labelled_view.
"""

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from stagelib import selinux, tree_paths
from stagelib.disk import file_contexts, output
from stagelib.disk.file_contexts import Matcher
from stagelib.errors import StageError

XATTR = "security.selinux"
MADE = ("/lost+found",)  # what makers of file systems add to the tree


def value(label: str) -> bytes:
    """The attribute's value: the kernel and all tools keep the label with a NUL at its end."""
    return label.encode("utf-8", "surrogateescape") + b"\0"


def of_tree(tree: str, at: str = "/") -> dict[str, str]:
    """The labels of what is at and below the tree's directory `at`; empty when the tree is not to be labelled.

    Keys are paths in `at` as a file system of its own ("/" is `at` itself), names not UTF-8 as os.fsdecode gives
    them. A path that is to have no label is not there; "/lost+found" is even where the tree has none. Links to one
    file all have the same label. Raises StageError.
    """
    tree = os.path.realpath(tree)
    top = _plain(tree, at)
    labels: dict[str, str] = {}
    for rule in _rules(tree):
        labels.update(_by_rule(tree, rule, top))
    return labels


@contextmanager
def beside(tree: str, at: str = "/") -> Iterator[Callable[[], dict[str, str]]]:
    """Do of_tree() beside what happens inside the block; gives a function that waits for it and returns the labels."""
    with ThreadPoolExecutor(1) as other:
        yield other.submit(of_tree, tree, at).result


def _rules(tree: str) -> tuple[selinux.Rule, ...]:
    try:
        return selinux.read(tree)
    except selinux.RecordError as error:
        raise StageError(str(error), "a stage changed it; leave what org.osbuild.selinux writes alone") from None


def _by_rule(tree: str, rule: selinux.Rule, top: str) -> dict[str, str]:
    """What one rule says of the paths at and below `top`, by their names in there."""
    exact = {_plain(tree, path): label for path, label in rule.labels.items()}
    target = _plain(tree, rule.target)
    excluded = [_plain(tree, path) for path in rule.exclude_paths]
    of_link = {_inode(info): exact[path] for path in exact if (info := _lstat(tree + path)) is not None}
    labels: dict[str, str] = {}

    def add(matcher: Matcher, path: str, info: os.stat_result) -> None:
        label = exact.get(path)
        if label is None and _within(path, target) and not any(_within(path, one) for one in excluded):
            label = matcher.label(path, info.st_mode)
        if label is not None and info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
            label = of_link.setdefault(_inode(info), label)
        if label is not None:
            labels[path[len(top.rstrip("/")) :] or "/"] = label

    with output.scratch() as work:
        matcher = file_contexts.read(tree, rule.file_contexts, work)
        directory = os.stat(tree + top)
        for path in (top, *(top.rstrip("/") + name for name in MADE)):
            add(matcher, path, directory)
        todo = [(top, matcher.below(top))]
        while todo:
            above, matcher = todo.pop()
            directories = []
            for entry in _entries(tree, above):
                path = os.path.join(above, entry.name)
                add(matcher, path, entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    directories.append((path, matcher.below(path)))
            todo += reversed(directories)
    return labels


def _entries(tree: str, directory: str) -> list[os.DirEntry[str]]:
    with os.scandir(tree + directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    return [entry for entry in entries if directory != "/" or entry.name != selinux.RECORD]


def _plain(tree: str, path: str) -> str:
    """The tree's `path` without symlinks on the way to it and without a slash at its end; "/" for the root."""
    return tree_paths.resolve(tree, path, follow_last=False).removeprefix(tree.rstrip("/")) or "/"


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _inode(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino
