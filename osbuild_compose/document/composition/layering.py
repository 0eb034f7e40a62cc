"""Merges a document with the files it extends, its profiles, and options of the command line."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from osbuild_compose.document import doc_links, reader
from osbuild_compose.document.composition import key_path
from osbuild_compose.document.composition.merge import Merge
from osbuild_compose.document.composition.overrides import override
from osbuild_compose.document.composition.variables import Variables
from osbuild_compose.document.node import Node, SourceText, Span, plain, with_origin
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.schema.schema_view import SchemaView
from osbuild_compose.document.suggest import did_you_mean, nearest
from osbuild_compose.errors import DocumentError, InputError
from osbuild_compose.problem import Problem

BUILT_IN = ("distro", "arch", "name")  # values at the top of a document that are variables, too
KEYS = ("extends", "vars", "profiles", "unset")  # keys that control merging; the merged document does not have them
MAX_FILES = 100


@dataclass(frozen=True)
class Choices:
    """Options of the command line: "key=value" settings, names of profiles, "name=value" variables."""

    settings: Sequence[str] = ()
    profiles: Sequence[str] = ()
    variables: Sequence[str] = ()


@dataclass
class _Files:
    """A file and those it extends, each once and after those that it extends itself."""

    documents: list[Document] = field(default_factory=list)
    errors: list[InputError] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)

    def add(self, document: Document, above: tuple[str, ...] = ()) -> None:
        real = os.path.realpath(document.file)
        self._done.add(real)
        if isinstance(document.data, dict):
            for node in _names(document.tree.child("extends")):
                self._add_base(document, node, (*above, real))
        else:
            hint = "start with: name: my-image"
            brief = "a blueprint must be a mapping: lines of the form key: value"
            place = document.at_value(())
            self.errors.append(InputError(brief, hint=hint, location=place, reference=doc_links.key_page(())))
        self.documents.append(document)

    def _add_base(self, document: Document, node: Node, above: tuple[str, ...]) -> None:
        if "\0" in node.value:
            self._report(node, "`extends` contains a NUL character, which no file name can have", "")
            return
        path = _relative_path(document.file, node.value)
        real = os.path.realpath(path)
        if real in above:
            chain = [*above[above.index(real) :], real]
            shown = " extends ".join(os.path.relpath(file, Path(document.file).parent) for file in chain)
            self._report(node, f"a blueprint cannot extend itself: {shown}", "remove one of them from `extends`")
        elif "://" in node.value:
            self._report(node, "`extends` takes local files only", "download the blueprint first")
        elif len(self._done) >= MAX_FILES:
            self._report(node, f"the blueprint is merged from more than {MAX_FILES} files", "")
        elif real not in self._done:
            self._done.add(real)
            try:
                base = reader.read(Path(path), regular=True)
            except InputError as error:
                if error.location is None:
                    self._report(node, error.brief, "the path is relative to the file it is in")
                else:
                    self.errors += error.each()
            else:
                self.add(base, above)

    def _report(self, node: Node, brief: str, hint: str) -> None:
        place = node.place.location
        self.errors.append(
            InputError(brief, hint=hint, location=place, path="extends", reference=f"{doc_links.COMPOSITION}#extending")
        )


@dataclass(frozen=True)
class Composed:
    """A merged document. `problems` are those of its parts; values at the locations in `unresolved` have problems
    already, and are not checked further.
    """

    document: Document
    problems: Sequence[Problem]
    unresolved: Collection[str]


def compose(document: Document, name: str, choices: Choices) -> Composed:
    """The document merged with everything it extends, as the schema `name` describes.

    Raises DocumentError if files cannot be read, InputError for wrong options.
    """
    files = _Files()
    files.add(document)
    if files.errors:
        raise DocumentError([*files.errors, *(problem.error() for problem in _part_problems(files.documents, name))])
    view = SchemaView.whole(schema_files.load(name))
    merge = Merge()
    tree = _merged(files.documents, view, merge)
    tree, wrong = _with_profiles(tree, files.documents, choices.profiles, view, merge)
    composed = len(files.documents) > 1 or not set(KEYS).isdisjoint(document.data) or plain(tree) != document.data
    tree = override(tree, choices.settings, view, merge)
    variables = Variables(tree.child("vars"), choices.variables, _built_in(tree, view, choices.profiles))
    tree = variables.filled(_without(tree, KEYS))
    _check_size(tree)
    variables.unused()
    tree = _relative_to(document.file, tree, view)
    problems = [*merge.problems, *variables.problems, *wrong]
    if composed:  # otherwise it is its only part
        problems = [*_part_problems(files.documents, name), *problems]
    return Composed(Document.from_tree(document.file, tree), problems, variables.unresolved | merge.unresolved)


def _built_in(tree: Node, view: SchemaView, profiles: Sequence[str]) -> dict[str, Node]:
    """The variables that every document has: `profile`, which is empty without one, and BUILT_IN."""
    profile = "-".join(profiles)
    found = {"profile": Node(profile, Span(SourceText("--profile" if profile else "no --profile")), written=profile)}
    for key in BUILT_IN:
        default = view.below(key).default
        node = tree.child(key) or (Node(default, Span(SourceText("the default")), written=default) if default else None)
        if node is not None and not isinstance(node.value, dict | list):
            found[key] = node if node.written else replace(node, written=str(node.value))
    return found


def _check_size(tree: Node) -> None:
    """Raise InputError if the merged document has more values or text than one file may have."""
    todo = [tree]
    count = length = 0
    while todo:
        node = todo.pop()
        count += 1
        if isinstance(node.value, dict | list):
            todo += node.value.values() if isinstance(node.value, dict) else node.value
        elif isinstance(node.value, str):
            length += len(node.value)
        if count > reader.MAX_VALUES or length > reader.MAX_TEXT:
            raise InputError(
                "all files, profiles and variables together make the document too large",
                hint=f"at most {reader.MAX_VALUES} values and {reader.MAX_TEXT >> 20} MiB of text",
                location=node.place.location,
                reference=f"{doc_links.ERRORS}#too-large",
            )


def _part_problems(documents: Sequence[Document], name: str) -> list[Problem]:
    return [
        problem
        for part in reversed(documents)
        if isinstance(part.data, dict)
        for problem in schema_files.problems_of_part(part, name)
    ]


def _merged(documents: Sequence[Document], view: SchemaView, merge: Merge) -> Node:
    result = replace(documents[0].tree, value={})
    for document in documents:
        result = _on_top(result, _without(document.tree, ("extends", "profiles")), view, merge)
    return result


def _with_profiles(
    tree: Node, documents: Sequence[Document], names: Sequence[str], view: SchemaView, merge: Merge
) -> tuple[Node, list[Problem]]:
    """The tree with the profiles merged on top, each from all of the files, and problems of any profile."""
    wrong: list[Problem] = []
    found: dict[str, list[Node]] = {}
    for document in documents:
        profiles = document.tree.child("profiles")
        for name, profile in (profiles.value if profiles and isinstance(profiles.value, dict) else {}).items():
            found.setdefault(name, []).append(profile)
            for key in {"extends", "profiles"} & set(profile.value if isinstance(profile.value, dict) else ()):
                problem = Problem(
                    ("profiles", name, key),
                    f"a profile cannot have `{key}`",
                    "move it to the top level of the blueprint",
                    reference=f"{doc_links.COMPOSITION}#profiles",
                    at_key=True,
                )
                wrong.append(problem.located(document))
    for name in names:
        if name not in found:
            near = did_you_mean(name, found, otherwise="")
            known = f"known profiles: {', '.join(sorted(found))}" if found else "it has no profiles"
            raise InputError(
                f"{documents[-1].file} has no profile {name}",
                hint=f"{near} {known}".lstrip(),
                suggestion=nearest(name, found) or "",
                reference=f"{doc_links.COMPOSITION}#profiles",
            )
        for profile in found[name]:
            part = _without(profile, ("extends", "profiles"))
            if isinstance(part.value, dict):
                tree = _on_top(tree, with_origin(part, f"profile {name}"), view, merge)
    return tree, wrong


def _on_top(tree: Node, own: Node, view: SchemaView, merge: Merge) -> Node:
    for node in _names(own.child("unset")):
        try:
            steps = key_path.steps(node.value)
        except ValueError:
            continue  # the schema reports it
        tree = merge.without(tree, node, key_path.trail(tree, steps, view))
    return merge.merged(tree, _without(own, ("unset",)), view)


def _names(node: Node | None) -> list[Node]:
    """The strings of a list, or the string that is given instead of one."""
    items: Any = [] if node is None else node.value if isinstance(node.value, list) else [node]
    return [item for item in items if isinstance(item.value, str) and item.value]


def _without(tree: Node, keys: Sequence[str]) -> Node:
    if not isinstance(tree.value, dict):
        return tree
    return replace(tree, value={key: node for key, node in tree.value.items() if key not in keys})


def _relative_path(file: str, name: str) -> str:
    """The path `name`, which is relative to the file; normalised, unless that would change it because of symlinks."""
    path = os.path.join(os.path.dirname(file), name)
    short = os.path.normpath(path)
    return short if os.path.realpath(short) == os.path.realpath(path) else path


def _relative_to(file: str, tree: Node, view: SchemaView) -> Node:
    """The tree with the paths in other files made relative to `file`."""
    value: Any = tree.value
    if isinstance(value, dict):
        value = {key: _relative_to(file, node, view.below(key)) for key, node in value.items()}
    elif isinstance(value, list):
        value = [_relative_to(file, node, view.item) for node in value]
    elif isinstance(value, str) and (span := view.local_path(value)) and tree.place.source.lines and _is_path(value):
        path = _moved(value[slice(*span)], Path(tree.place.source.file).parent, Path(file).parent)
        value = value[: span[0]] + path + value[span[1] :]
    else:
        return tree
    return replace(tree, value=value)


def _is_path(text: str) -> bool:
    return not ("\n" in text or "\0" in text or "://" in text or text.startswith("/"))


def _moved(name: str, directory: Path, root: Path) -> str:
    if directory == root:
        return name
    relative = Path(os.path.relpath(directory, root))
    if os.path.realpath(root / relative) != os.path.realpath(directory):
        relative = directory.resolve()
    return str(relative / name)
