"""The SELinux labels of a tree, for the makers of images.

A tree has no labels on its files, but a record of them (stagelib.selinux). A maker of images

* gets the labels from of_tree() and sets them on the files in the image,
* leaves selinux.RECORD out of the image, and
* ignores the files' own attribute security.selinux: it belongs to the machine where the tree was made.

Placeholders of device nodes get the labels of these (stagelib.devices).

For programs that take labels only from files there is stagelib.disk.labelled_view.
"""

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from stagelib import devices, selinux, tree_paths
from stagelib.disk import file_contexts, output
from stagelib.disk.file_contexts import Matcher
from stagelib.errors import StageError

XATTR = "security.selinux"
MADE_BY_MKFS = ("/lost+found",)  # what mkfs programs add to the tree


def value(label: str) -> bytes:
    """The attribute's value: the label with a NUL at its end, as the kernel and all tools store it."""
    return label.encode("utf-8", "surrogateescape") + b"\0"


def of_tree(tree: str, at: str = "/") -> dict[str, str]:
    """The labels of the tree's directory `at` and everything below it; empty when the tree is not labelled.

    Keys are paths relative to `at` ("/" is `at` itself), names that are not UTF-8 as os.fsdecode returns them. Paths
    without a label are left out; "/lost+found" is always included. Hard links have the same label. Raises StageError.
    """
    tree = os.path.realpath(tree)
    top = _plain(tree, at)
    labels: dict[str, str] = {}
    for rule in _rules(tree):
        labels.update(_by_rule(tree, rule, top))
    return labels


@contextmanager
def in_background(tree: str, at: str = "/") -> Iterator[Callable[[], dict[str, str]]]:
    """Run of_tree() in the background of the block; gives a function that waits for it and returns the labels."""
    with ThreadPoolExecutor(1) as other:
        yield other.submit(of_tree, tree, at).result


def _rules(tree: str) -> tuple[selinux.Rule, ...]:
    try:
        return selinux.read(tree)
    except selinux.RecordError as error:
        raise StageError(str(error), "another stage has changed the record of org.osbuild.selinux") from None


def _by_rule(tree: str, rule: selinux.Rule, top: str) -> dict[str, str]:
    """The labels of one rule for `top` and everything below it, by path relative to it."""
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
        for path in (top, *(top.rstrip("/") + name for name in MADE_BY_MKFS)):
            add(matcher, path, directory)
        todo = [(top, matcher.below(top))]
        while todo:
            above, matcher = todo.pop()
            directories = []
            for entry in _entries(tree, above):
                path = os.path.join(above, entry.name)
                add(matcher, path, devices.seen(entry.path, entry.stat(follow_symlinks=False)))
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
