"""What changed in a blueprint, in its own words and with its lines."""

import pytest

from osbuild_compose.cli.plan import BlueprintChange, blueprint_changes, reason_of
from osbuild_compose.compile import provenance
from osbuild_compose.document import reader
from osbuild_compose.report.events import Action, ActionKind, Change

DOCUMENT = reader.parse(
    b"""name: web
packages:
  - nginx
  - vim
users:
  - name: admin
    groups: [sudo]
disk: {size: 4 GiB}
""",
    "web.yaml",
)


def embedded(change: Change) -> Change:
    return Change(
        ("documents", "blueprint", *change.path),
        change.is_new,
        change.is_gone,
        change.added,
        change.removed,
        change.changed,
        change.reordered,
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change(("packages",), added=("vim",), removed=("emacs",)), "packages: + vim (web.yaml:4), - emacs"),
        (Change(("packages",), reordered=True), "packages has another order (web.yaml:2)"),
        (Change(("users",), changed=("admin",)), "users: admin changed (web.yaml:6)"),
        (Change(("users",), added=("an item",)), "users: + an item (web.yaml:5)"),
        (Change(("disk", "size")), "disk.size changed (web.yaml:8)"),
        (Change(("disk",), is_new=True), "disk is new (web.yaml:8)"),
        (Change(("timezone",), is_gone=True), "timezone is gone"),
        (Change(("packages",), removed=tuple("abcdefgh")), "packages: - a, - b, - c, - d, - e, - f, 2 more"),
    ],
)
def test_words(change: Change, text: str) -> None:
    others = [Change(("documents", "build", "stages")), Change(("elsewhere",))]
    action = Action(ActionKind.RUN, provenance.STAGE, "1", "tree", "", changes=(embedded(change), *others))
    assert [one.text for one in blueprint_changes([action], DOCUMENT)] == [text]


def test_a_step_has_the_changes_of_the_values_that_it_was_made_from() -> None:
    changes = [BlueprintChange(("packages",), "packages: + vim"), BlueprintChange(("users",), "users: admin changed")]
    read = {"1": (("packages", 1), ("hostname",)), "2": (("users",),), "3": (("hostname",),)}

    def reason(step: str, *own: Change) -> str:
        return reason_of(Action(ActionKind.RUN, "a", step, "", "the runner's reason", changes=own), changes, read)

    own = Change(("packages",))
    assert reason("1", own) == "packages: + vim"
    assert reason("2", own) == "users: admin changed"
    assert reason("3", own) == "the runner's reason"
    assert reason("9", own) == "the runner's reason"
    assert reason("1") == "the runner's reason"  # its options are the same
    assert reason_of(Action(ActionKind.CACHED, "a", "1", "", "unchanged"), changes, read) == ""


def test_without_an_embedded_blueprint_nothing_is_known() -> None:
    assert blueprint_changes([Action(ActionKind.RUN, "a", "1", "", "", changes=(Change(("x",)),))], DOCUMENT) == []
