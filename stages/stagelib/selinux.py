"""The record of SELinux labels in a tree, which replaces labels on its files.

Only root may set a label on a file, and setting one in an overlay copies the file. So `org.osbuild.selinux` records
which file contexts of the tree apply, and assemblers apply them (stagelib.disk.labels) and leave the record out. Every
file gets its label, whichever stage wrote it; images built by root and by ordinary users are the same.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stagelib import tree_paths

RECORD = ".osbuild-compose-labels.json"  # in the root of the tree
MOST = 1 << 20  # largest size of a record in bytes


class RecordError(Exception):
    """The tree's record is not one that the stage wrote."""


@dataclass(frozen=True)
class Rule:
    """Label `target` and everything below it by the file contexts, then set `labels` of single paths.

    All paths are absolute paths in the tree. exclude_paths and everything below them get no label from the file
    contexts; keys of `labels` match exactly.
    """

    file_contexts: str
    target: str = "/"
    exclude_paths: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def read(tree: str) -> tuple[Rule, ...]:
    """The rules for the tree, in the order in which they apply; none when it is not labelled.

    Raises RecordError when the record is damaged.
    """
    try:
        info = os.lstat(os.path.join(tree, RECORD))
    except FileNotFoundError:
        return ()
    if not stat.S_ISREG(info.st_mode) or info.st_size > MOST:
        raise RecordError(f"/{RECORD} is not the stage's")
    try:
        return tuple(_rule(found) for found in json.loads(tree_paths.read_text(tree, RECORD)))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RecordError(f"/{RECORD} is damaged") from None


def _rule(found: dict[str, Any]) -> Rule:
    rule = Rule(**found)
    texts = (rule.file_contexts, rule.target, *rule.exclude_paths, *rule.labels, *rule.labels.values())
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("not a text")
    return Rule(rule.file_contexts, rule.target, tuple(rule.exclude_paths), dict(rule.labels))


def add(tree: str, rule: Rule) -> None:
    """Append a rule to those of the tree; the root directory keeps its time. Raises RecordError as read() does."""
    rules = [*read(tree), rule]
    times = os.stat(tree)
    text = json.dumps([asdict(one) for one in rules], sort_keys=True, indent=1) + "\n"
    tree_paths.write_file(tree, RECORD, text, mode=0o600)
    os.utime(tree, ns=(times.st_atime_ns, times.st_mtime_ns))
