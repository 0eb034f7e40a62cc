"""SELinux file contexts of a policy: libselinux' matching of paths, limited to the patterns that can match.

libselinux before 3.8 tries nearly every pattern for every path: 80 µs each, over a second for a server. Most patterns
begin with a fixed path, so that for what is below one directory only a few are left, in the same order and with the
same outcome. Format: selabel_file(5); API: selabel_open(3), selabel_lookup(3), which need no kernel with SELinux.
"""

import ctypes
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stagelib import tree_paths
from stagelib.errors import StageError

PARTS = ("", ".homedirs", ".local")  # later ones take precedence
SUBSTITUTIONS = (".subs", ".subs_dist")
FEW = 100  # patterns: trying them all is faster than filtering them
MOST_ALIASES = 100
META = "\\.^$?*+|[({"  # metacharacters of a pattern, pcre2pattern(3)


@dataclass(frozen=True)
class Spec:
    """A line of one of PARTS; every path that it can match begins with `prefix`."""

    prefix: str
    part: str
    line: str


@dataclass(frozen=True)
class Policy:
    """The substitutions for the whole tree, and the directory `work` with their files."""

    substitutions: tuple[tuple[str, str], ...]
    work: str


class Matcher:
    """The labels of files below one directory."""

    def __init__(self, specs: Sequence[Spec], policy: Policy) -> None:
        """Write the specs to new file contexts and open them."""
        self._specs = specs
        self._policy = policy
        base = os.path.join(policy.work, str(len(os.listdir(policy.work))))
        for part in PARTS:
            lines = [spec.line for spec in specs if spec.part == part]
            if lines or part == "":
                _write(base + part, "".join(f"{line}\n" for line in lines))
        for suffix in SUBSTITUTIONS:
            os.link(os.path.join(policy.work, suffix), base + suffix)
        self._contexts = Contexts(base)

    def label(self, path: str, mode: int) -> str | None:
        """As Contexts.label()."""
        return self._contexts.label(path, mode)

    def below(self, directory: str) -> "Matcher":
        """A matcher for files below `directory`: this one, unless another has far fewer patterns."""
        if len(self._specs) < FEW:
            return self
        places = tuple(aliases(directory.rstrip("/") + "/", self._policy.substitutions))
        specs = [
            spec
            for spec in self._specs
            if spec.prefix.startswith(places) or any(place.startswith(spec.prefix) for place in places)
        ]
        return Matcher(specs, self._policy) if 2 * len(specs) < len(self._specs) else self


def read(tree: str, path: str, work: str) -> Matcher:
    """The matcher for the whole tree, from the file contexts at the tree's `path`. Raises StageError."""
    specs: list[Spec] = []
    for part in PARTS:
        text = _text(tree, path + part)
        if text is None and part == "":
            raise StageError(f"the tree has no {path} to label it by", "install the SELinux policy, and keep it")
        lines = [line for line in (text or "").split("\n") if _says(line)]
        specs += [Spec(prefix(line.split(maxsplit=1)[0]), part, line) for line in lines]
    pairs: list[tuple[str, str]] = []
    for suffix in SUBSTITUTIONS:
        text = _text(tree, path + suffix) or ""
        _write(os.path.join(work, suffix), text)
        words = [line.split() for line in text.split("\n") if _says(line)]
        pairs += [(pair[0].rstrip("/"), pair[1].rstrip("/")) for pair in words if len(pair) > 1]
    return Matcher(specs, Policy(tuple(pairs), work))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _text(tree: str, path: str) -> str | None:
    return tree_paths.text_or_none(tree, path, errors="surrogateescape")


def prefix(pattern: str) -> str:
    """The longest text with which every match of the pattern begins."""
    if _has_alternatives(pattern):
        return ""
    for at, character in enumerate(pattern):
        if character in META:
            # What is optional is not part of it.
            return pattern[: max(0, at - 1)] if character in "?*{" else pattern[:at]
    return pattern


def _has_alternatives(pattern: str) -> bool:
    """Whether the pattern has a | outside of parentheses."""
    depth = 0
    escaped = False
    for character in pattern:
        if not escaped:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if character == "|" and depth == 0:
                return True
        escaped = character == "\\" and not escaped
    return False


def aliases(place: str, substitutions: Sequence[tuple[str, str]]) -> set[str]:
    """The prefixes of paths below the directory `place` ("/usr/lib64/") after any number of substitutions.

    {""}, which matches anything, when there is no end of them.
    """
    found = {place}
    todo = [place]
    while todo:
        here = todo.pop()
        for old, new in substitutions:
            if here.startswith(old + "/"):
                other = new + here[len(old) :]
            elif old.startswith(here):
                other = new
            else:
                continue
            if other not in found:
                found.add(other)
                todo.append(other)
        if len(found) > MOST_ALIASES:
            return {""}
    return found


LIBRARY = "libselinux.so.1"
CTX_FILE = 0  # SELABEL_CTX_FILE of selinux/label.h
OPT_PATH = 3  # SELABEL_OPT_PATH


class _Option(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("value", ctypes.c_char_p))


class Contexts:
    """Opened file contexts."""

    def __init__(self, path: str) -> None:
        """Read the file contexts at `path` and the files with its suffixes (.homedirs, .local, .subs, .subs_dist).

        Raises StageError when libselinux is not installed or cannot read the file.
        """
        self._library = _load()
        options = (_Option * 1)(_Option(OPT_PATH, os.fsencode(path)))
        self._handle = self._library.selabel_open(CTX_FILE, options, 1)
        if not self._handle:
            raise StageError(f"libselinux cannot read the file contexts: {os.strerror(ctypes.get_errno())}")

    def label(self, path: str, mode: int) -> str | None:
        """The label of a file of this type and mode at the absolute `path`; None when it has none.

        Raises StageError when a pattern cannot be used.
        """
        found = ctypes.c_void_p()
        ctypes.set_errno(0)  # libselinux does not set it when a pattern is not a regular expression
        if self._library.selabel_lookup_raw(self._handle, ctypes.byref(found), os.fsencode(path), mode) == 0:
            label = ctypes.string_at(found).decode("utf-8", "surrogateescape")
            self._library.freecon(found)
            return label
        if ctypes.get_errno() == errno.ENOENT:
            return None
        raise StageError(f"libselinux cannot match {path}: a pattern of the file contexts is wrong")

    def close(self) -> None:
        """Close the file contexts."""
        self._library.selabel_close(self._handle)


def _load() -> Any:
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError:
        raise StageError(
            f"{LIBRARY}, which knows the SELinux labels, is not installed where this image is made",
            "install the package libselinux1 (Debian, Ubuntu) or libselinux (Fedora, CentOS) in the build root",
        ) from None
    library.selabel_open.restype = ctypes.c_void_p
    library.selabel_open.argtypes = (ctypes.c_uint, ctypes.POINTER(_Option), ctypes.c_uint)
    library.selabel_lookup_raw.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_char_p,
        ctypes.c_int,
    )
    library.selabel_close.argtypes = (ctypes.c_void_p,)
    library.freecon.argtypes = (ctypes.c_void_p,)
    return library
