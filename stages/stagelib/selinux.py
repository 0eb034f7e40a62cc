"""What a tree says about its SELinux labels: a record in it, instead of labels on its files.

Only root may set a label on a file, and setting one in an overlay copies the file. So `org.osbuild.selinux` writes
down which file contexts of the tree are to be applied, and whatever makes an image of the tree applies them
(stagelib.disk.labels) and leaves the record out. Every file gets its label, whichever stage made it; root's image and
an ordinary user's are the same.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stagelib import tree_paths

RECORD = ".osbuild-compose-labels.json"  # in the root of the tree
MOST = 1 << 20  # bytes of a record


class RecordError(Exception):
    """The tree's record is not one that the stage wrote."""


@dataclass(frozen=True)
class Rule:
    """Label what is at and below `target` as the file contexts say, then give `labels` to single paths.

    All paths are the tree's, with a slash in front. What is at or below one of exclude_paths gets no label from the
    file contexts; labels are exact.
    """

    file_contexts: str
    target: str = "/"
    exclude_paths: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def read(tree: str) -> tuple[Rule, ...]:
    """The rules for the tree, to be applied in this order; none when it is not to be labelled.

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
    except (ValueError, TypeError, KeyError):
        raise RecordError(f"/{RECORD} is damaged") from None


def _rule(found: dict[str, Any]) -> Rule:
    rule = Rule(**found)
    texts = (rule.file_contexts, rule.target, *rule.exclude_paths, *rule.labels, *rule.labels.values())
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("not a text")
    return Rule(rule.file_contexts, rule.target, tuple(rule.exclude_paths), dict(rule.labels))


def add(tree: str, rule: Rule) -> None:
    """Add a rule after those that the tree has. The tree's root keeps its time. Raises RecordError as read() does."""
    rules = [*read(tree), rule]
    times = os.stat(tree)
    text = json.dumps([asdict(one) for one in rules], sort_keys=True, indent=1) + "\n"
    tree_paths.write_file(tree, RECORD, text, mode=0o600)
    os.utime(tree, ns=(times.st_atime_ns, times.st_mtime_ns))
