"""Merges one document on top of another.

Mappings are merged key by key. The items of a list are added to the inherited ones; an item that has an identity (a
user's name) is merged with the one of the same identity. The operators {append, remove, replace} change a list in other
ways. All other values replace the inherited ones. docs/reference/composition.md has the rules for users.
"""

import json
from dataclasses import replace
from typing import Any

from osbuild_compose.document import doc_links
from osbuild_compose.document.composition.list_operators import APPEND, OPERATORS, REMOVE, REPLACE
from osbuild_compose.document.node import Node, Trail, plain
from osbuild_compose.document.schema.schema_errors import flow
from osbuild_compose.document.schema.schema_view import SchemaView
from osbuild_compose.document.suggest import did_you_mean, nearest
from osbuild_compose.problem import Problem


class Merge:
    """Merges trees of one schema and collects problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.unresolved: set[str] = set()  # locations of mappings that were meant to be lists

    def merged(self, base: Node | None, own: Node, view: SchemaView, trail: Trail = ()) -> Node:
        """`own` on top of `base`. The result has plain lists, without operators."""
        if base is not None and view.is_list and view.has_named_items:
            self._refuse_other_form(base, own, trail)
        if isinstance(own.value, dict) and view.is_list and not (view.is_mapping and own.value.keys() - set(OPERATORS)):
            return self._changed(base, own, view, trail)
        if isinstance(own.value, dict):
            return self._mapping(base, own, view, trail)
        if isinstance(own.value, list):
            items = self._mapping_items(own, view, trail)
            old = base.value if base and isinstance(base.value, list) else []
            return replace(own, value=self._added(old, items, view, trail))
        return own

    def _mapping(self, base: Node | None, own: Node, view: SchemaView, trail: Trail) -> Node:
        old: dict[str, Node] = base.value if base and isinstance(base.value, dict) else {}
        alternatives = view.alternatives
        given = [keys for keys in alternatives if keys & own.value.keys()]
        gone = {key for keys in alternatives if given and keys not in given for key in keys}
        result = {key: node for key, node in old.items() if key not in gone}
        for key, node in own.value.items():
            result[key] = self.merged(result.get(key), node, view.below(key), (*trail, key))
        return replace(own, value=result)

    def _refuse_other_form(self, base: Node, own: Node, trail: Trail) -> None:
        """Report a list on top of a mapping, or the reverse: all that is inherited would be lost."""
        is_list = isinstance(own.value, list) or (isinstance(own.value, dict) and not own.value.keys() - {*OPERATORS})
        if isinstance(base.value, list | dict) and isinstance(base.value, list) != is_list:
            ours, theirs = ("list", "mapping") if is_list else ("mapping", "list")
            brief = f"{_name(trail)} is a {ours}, and the inherited one is a {theirs}"
            hint = f"write a {theirs}, or drop what is inherited: unset: [{trail[-1]}]"
            self._report(own, brief, hint, trail)

    def _mapping_items(self, own: Node, view: SchemaView, trail: Trail) -> list[Node]:
        """The items of the list, with operators inside them applied if they inherit nothing."""
        return [
            item if view.identity else self.merged(None, item, view.item, (*trail, index))
            for index, item in enumerate(own.value)
        ]

    def _added(self, old: list[Node], items: list[Node], view: SchemaView, trail: Trail) -> list[Node]:
        result = list(old)
        known = {identity: index for index, node in enumerate(old) if (identity := _identity(node, view)) is not None}
        present = {_canonical(node) for node in old} if view.is_set else set()
        for index, item in enumerate(items):
            at = known.get(_identity(item, view))
            if at is not None:
                result[at] = self.merged(result[at], item, view.item, (*trail, at))
            elif _canonical(item) not in present:
                result.append(self.merged(None, item, view.item, (*trail, index)) if view.identity else item)
        return result

    def _changed(self, base: Node | None, own: Node, view: SchemaView, trail: Trail) -> Node:
        """The inherited list after {append, remove, replace}. The schema reports operators that are not lists."""
        lists = {key: own.value[key] for key in OPERATORS if isinstance(_child(own, key), list)}
        if own.value and not own.value.keys() & set(OPERATORS):
            self.unresolved.add(str(own.place.location))
        result: list[Node] = list(base.value) if base and isinstance(base.value, list) else []
        if REPLACE in lists:
            if len(lists) > 1:
                self._report(own, f"{_name(trail)} cannot be both replaced and changed", "", trail)
            result = self._added([], self._mapping_items(lists[REPLACE], view, trail), view, trail)
        for node in lists[REMOVE].value if REMOVE in lists else ():
            result = self._removed(result, node, view, trail)
        if APPEND in lists:
            result = self._added(result, self._mapping_items(lists[APPEND], view, trail), view, trail)
        return replace(own, value=result)

    def _removed(self, items: list[Node], node: Node, view: SchemaView, trail: Trail) -> list[Node]:
        wanted = plain(node)
        left = [item for item in items if wanted not in (_identity(item, view), plain(item))]
        if len(left) == len(items):
            names = [str(_identity(item, view) or "") or flow(plain(item)) for item in items]
            text = wanted if isinstance(wanted, str) else flow(wanted)
            known = ", ".join(names) if 0 < sum(map(len, names)) < 200 else ""
            hint = did_you_mean(text, names, otherwise=f"inherited: {known}" if known else "")
            brief = f"{_name(trail)} does not inherit {flow(wanted)}, so it cannot be removed"
            self._report(node, brief, hint, trail, nearest(text, names) or "")
        return left

    def without(self, base: Node, unset: Node, trail: Trail) -> Node:
        """`base` without the key at the end of the trail. `unset` is the item of `unset` that names it."""
        if len(trail) > 1:
            below = base.child(trail[0])
            if below is not None:
                return _with(base, trail[0], self.without(below, unset, trail[1:]))
        elif base.child(trail[0]) is not None:
            if isinstance(base.value, dict):
                return replace(base, value={key: node for key, node in base.value.items() if key != trail[0]})
            return replace(base, value=[node for index, node in enumerate(base.value) if index != trail[0]])
        keys = base.value if isinstance(base.value, dict) else ()
        step = str(trail[0])
        brief = f"`{plain(unset)}` is not inherited, so it cannot be unset"
        hint = did_you_mean(step, keys, otherwise="")
        self._report(unset, brief, hint, ("unset",), nearest(step, keys) or "")
        return base

    def _report(self, node: Node, brief: str, hint: str, trail: Trail, suggestion: str = "") -> None:
        self.problems.append(
            Problem(
                trail,
                brief,
                hint,
                suggestion=suggestion,
                location=node.place.location,
                reference=f"{doc_links.COMPOSITION}#{'unset' if trail == ('unset',) else 'lists'}",
            )
        )


def _identity(item: Node, view: SchemaView) -> Any:
    """The identity of the item: text or a number, or None."""
    if view.identity is None:
        return None
    node = item.child(view.identity)
    return node.value if node and isinstance(node.value, str | int) else None


def _canonical(item: Node) -> str:
    return json.dumps(plain(item), sort_keys=True)


def _child(node: Node, key: str) -> Any:
    below = node.child(key)
    return below.value if below else None


def _with(base: Node, step: str | int, below: Node) -> Node:
    value: Any = dict(base.value) if isinstance(base.value, dict) else list(base.value)
    value[step] = below
    return replace(base, value=value)


def _name(trail: Trail) -> str:
    names = [step for step in trail if isinstance(step, str)]
    return f"`{names[-1]}`"
