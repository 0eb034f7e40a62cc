"""Applies `--set path=value`: values of a document replaced on the command line."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from osbuild_compose.document import reader
from osbuild_compose.document.composition import key_path
from osbuild_compose.document.composition.list_operators import OPERATORS
from osbuild_compose.document.composition.merge import Merge
from osbuild_compose.document.node import Node, SourceText, Span
from osbuild_compose.document.schema.schema_view import SchemaView
from osbuild_compose.errors import InputError

_TOO_LATE = {"extends", "profiles", "unset"}  # these are applied before


def override(tree: Node, settings: Sequence[str], view: SchemaView, merge: Merge) -> Node:
    """The tree with each "key.key=value" of `settings` applied in order; the value is YAML.

    A step into a list is an item's identity ("users.admin.shell", "files[/etc/motd].mode") or its position
    ("users.0.shell"); the position after the last item appends. The value replaces the old one; {append: [...]} changes
    a list. Errors in a value are located at its setting. Raises InputError for a text of another form, or a path that
    leads nowhere.
    """
    for setting in settings:
        tree = _Setting(setting, merge).applied(tree, view)
    return tree


class _Setting:
    def __init__(self, text: str, merge: Merge) -> None:
        self.text = text
        self.merge = merge
        key, equals, value = text.partition("=")
        try:
            self.steps = key_path.steps(key)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"--set {text}: expected key=value", hint="for example: --set disk.size=8GiB")
        if self.steps[0] in _TOO_LATE:
            raise InputError(f"--set {text}: `{self.steps[0]}` can only be given in a blueprint")
        self.span = Span(SourceText(f"--set {text}"))
        self.value = _value(value, f"--set {key}", self.span)

    def applied(self, tree: Node, view: SchemaView) -> Node:
        return self._applied(tree, 0, view)

    def _applied(self, node: Node | None, number: int, view: SchemaView) -> Node:
        if number == len(self.steps):
            return self._final(node, view)
        step = self.steps[number]
        if node is None:
            node = Node([] if view.is_list and step == "0" else {}, self.span, self.span)
        if isinstance(node.value, list):
            return self._applied_to_item(node, step, number, view)
        if isinstance(node.value, dict):
            below = self._applied(node.value.get(step), number + 1, view.below(step))
            return replace(node, value={**node.value, step: replace(below, key=below.key or self.span)})
        above = key_path.steps(self.text.partition("=")[0])[:number]
        raise InputError(f"--set {self.text}: `{'.'.join(above)}` is a plain value with nothing below it")

    def _applied_to_item(self, node: Node, step: str, number: int, view: SchemaView) -> Node:
        index = key_path.position(node, step, view)
        if index is None and step == str(len(node.value)):
            index = len(node.value)
        if index is None:
            known = [item.child(view.identity) for item in node.value] if view.identity else []
            names = [str(item.value) for item in known if item is not None]
            raise InputError(
                f"--set {self.text}: `{step}` is not a position from 0 to {len(node.value)}"
                + (f", nor one of: {', '.join(names)}" if names else "")
            )
        items = list(node.value)
        old = items[index] if index < len(items) else None
        items[index : index + 1] = [self._applied(old, number + 1, view.item)]
        return replace(node, value=items)

    def _final(self, old: Node | None, view: SchemaView) -> Node:
        value = self.value
        changes = isinstance(value.value, dict) and view.is_list and value.value.keys() <= set(OPERATORS)
        new = self.merge.merged(old if changes else None, value, view)
        return replace(new, key=old.key if old is not None else self.span)


def _value(text: str, name: str, span: Span) -> Node:
    if not text:
        return Node("", span, span)
    try:
        return _placed(reader.parse(text.encode(errors="surrogateescape"), name).tree, span)
    except reader.EmptyError:
        hint = "to drop an inherited key, use `unset` in a blueprint"
        raise InputError(f"{name}={text}: there is no value", hint=hint) from None


def _placed(node: Node, span: Span) -> Node:
    value: Any = node.value
    if isinstance(value, dict):
        value = {key: _placed(item, span) for key, item in value.items()}
    elif isinstance(value, list):
        value = [_placed(item, span) for item in value]
    return replace(node, value=value, place=span, key=span)
