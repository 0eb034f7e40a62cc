"""Converts an osbuild or image-builder blueprint into one of ours."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osbuild_compose.document.composition.synthetic import error_trails, to_document, without
from osbuild_compose.document.node import Trail
from osbuild_compose.document.other_tools import about_release
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.suggest import nearest
from osbuild_compose.errors import ComposeError, InputError
from osbuild_compose.importing import osbuild, places, source, variants, yaml_text
from osbuild_compose.importing.osbuild import Target
from osbuild_compose.importing.places import Source
from osbuild_compose.importing.source import Note, note

_DOCUMENT = "imported"
_MAX_ROUNDS = 100
_MAX_NAME = 64
_ALONE = {"name", "distro", "arch", "description", "version"}  # an image of these is the distribution's plain one
# Keys of ours that osbuild has below another key, for values that do not know their place.
_HOMES = {"disk": ("filesystem", "disk"), "users": ("user",), "groups": ("group",), "first_boot": ("firstboot",)}
# Values of an item that may be lost alone; without another one it would be less protected, or something else.
_LOOSE = {"users": ("description", "groups", "ssh_keys", "password"), "first_boot": ("after", "before")}
_ITEMS = ("users", "groups", "files", "directories", "repositories", "first_boot")

# Without these the image would be another one, or less protected.
_PROTECTIVE: tuple[Trail, ...] = (
    *((key,) for key in ("name", "distro", "arch", "sshd", "kernel")),
    *(("services", "disabled"), ("services", "masked"), ("firewall", "services", "disabled")),
)

Check = Callable[[Document], None]


@dataclass(frozen=True)
class Imported:
    """A blueprint as YAML text, and the keys that it could not take over, each with the reason."""

    text: str
    notes: tuple[Note, ...]


def convert(
    path: Path,
    distro: str | None,
    releases: Collection[str],
    check: Check,
    *,
    target: Callable[[str], Target] = lambda _: Target(),
    name: str | None = None,
) -> Imported:
    """The blueprint in a TOML or JSON file. `distro`, one of `releases`, is used instead of the file's, and so is name.

    check raises what is wrong with one of our blueprints, also for its distribution; target says what is special
    about a release. Raises InputError for a file that is neither, if the distribution is unknown, if something that
    protects the image cannot be carried over, and if nothing can be.
    """
    read = variants.normal(source.read(path))
    release = _distro(distro or _text(read, "distro"), list(releases), read)
    data, notes = osbuild.convert(read, distro, target(release))
    data = {"name": "", **data, "distro": release}
    data["name"] = _name(name, data["name"], read, notes)
    data, unknown = _known(_escaped(data), read)
    data, invalid = fit(data, check, read)
    notes += [*unknown, *invalid]
    if notes and any(item.is_lost for item in notes) and not data.keys() - _ALONE:
        lines = [f"{item.key}: {item.reason}" for item in notes]
        raise InputError(f"{path}: nothing of it can be carried over", details=lines)
    comments = {"repositories": "For building and in the image; `default` is the distribution's own archive."}
    head = [f"Made from {path.name} by `compose import`."]
    return Imported(yaml_text.pretty(data, comments, head, _foot(notes)), tuple(notes))


def _foot(notes: list[Note]) -> list[str]:
    lines = []
    for title, is_lost in (("Not carried over:", True), ("Changed:", False)):
        those = [f"  {' '.join(f'{item.key}: {item.reason}'.split())}" for item in notes if item.is_lost == is_lost]
        lines += ["", title, *those] if those else []
    return lines


def _text(read: Source, key: str) -> str | None:
    value = read.data.get(key)
    return value if isinstance(value, str) else None


def _distro(wanted: str | None, releases: list[str], read: Source) -> str:
    if wanted in releases:
        return str(wanted)
    if not wanted:
        raise InputError(f"{read.path} names no distribution", hint=f"say it, for example: --distro {max(releases)}")
    advice = about_release(wanted, releases)
    near = nearest(wanted.split(".")[0], releases)
    hint = f"say another one, for example: --distro {near}" if near else f"known are: {', '.join(sorted(releases))}"
    if advice and not near:
        hint = f"say another one: {advice.hint}" if "--" not in advice.hint else advice.hint
    raise InputError(f"{read.path}: there is no distribution {wanted} here", hint=hint)


def _name(given: str | None, wanted: str, read: Source, notes: list[Note]) -> str:
    """The image's name: the given one, or else the blueprint's or the file's, without what a name cannot have."""
    if given is not None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", given, re.ASCII):
            raise InputError(f'--name: "{given}" is not a name of up to {_MAX_NAME} letters, digits, `.`, `_` and `-`')
        return given
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted or read.path.stem).lstrip("._-")[:_MAX_NAME].rstrip("-") or "image"
    if wanted and name != wanted:
        reason = f'"{wanted[:_MAX_NAME]}" is {name} here, as an image\'s name has no other characters'
        notes.append(note(read, ("name",), reason, is_lost=False))
    return name


def _known(data: dict[str, Any], read: Source) -> tuple[dict[str, Any], list[Note]]:
    """The data with the keys of our blueprints only, and notes about the others."""
    keys = schema_files.load("blueprint")["properties"]
    notes = [note(read, _place(data, (key,)), "there is no such key here yet") for key in data if key not in keys]
    return {key: value for key, value in data.items() if key in keys}, notes


def fit(data: dict[str, Any], check: Check, read: Source) -> tuple[dict[str, Any], list[Note]]:
    """The data, without places, and without what the check rejects, and a note about each value that was removed.

    Raises InputError, with its place in the foreign blueprint, if what is rejected must not be lost alone.
    """
    notes: list[Note] = []
    for _ in range(_MAX_ROUNDS):
        ours = places.plain(data)
        document = to_document(ours, _DOCUMENT)
        try:
            check(document)
        except ComposeError as error:
            wrong = {trails[0]: item for item in error.each() if (trails := error_trails(document, item))}
            if not wrong:
                raise
            # The innermost first: what contains it may be valid without it.
            depth = max(map(len, wrong))
            removed: set[Trail] = set()
            for trail in sorted((trail for trail in wrong if len(trail) == depth), key=str):
                whole = _loses(ours, trail)
                if not whole:
                    raise _refused(data, trail, wrong[trail], read) from None
                reason = wrong[trail].brief
                if wrong[trail].hint:
                    reason += f" ({wrong[trail].hint})"
                if whole != trail:
                    reason += f"; without it, {places.shown(_original(data, whole, read))} is left out as a whole"
                notes.append(note(read, _place(data, trail), reason))
                removed.add(whole)
            data = without(data, removed)
        else:
            return ours, notes
    raise AssertionError("every round removes something")


def _loses(data: Any, trail: Trail) -> Trail:
    """What has to be left out because of a value that is rejected; () if that is the whole blueprint."""
    top, inner = trail[0], trail[1:]
    if any(trail[: len(path)] == path for path in _PROTECTIVE):
        return ()
    if top in _ITEMS and len(trail) > 2:
        return trail if inner[1] in _LOOSE.get(str(top), ()) else trail[:2]
    if top == "firewall" and inner[:1] == ("zones",) and len(trail) > 2:
        zone = data["firewall"]["zones"][trail[2]]
        return () if zone.get("name") in ("drop", "block") else trail[:3]
    if top == "disk":
        partition = data["disk"]["partitions"][trail[2]] if len(trail) > 2 and inner[0] == "partitions" else {}
        # Of the list of file systems, one may be left out: what would be there is on / then.
        is_loose = partition.keys() <= {"mount", "minimum"} and partition.get("mount", "/") != "/"
        return trail[:3] if is_loose else ()
    return trail


def _refused(data: Any, trail: Trail, error: ComposeError, read: Source) -> InputError:
    place = _place(data, trail)
    name = places.shown(read.original(place))
    return InputError(f"`{name}` cannot be carried over: {error.brief}", hint=error.hint, location=read.location(place))


def _original(data: Any, trail: Trail, read: Source) -> Trail:
    return read.original(_place(data, trail))


def _place(data: Any, trail: Trail) -> Trail:
    """Where in osbuild's blueprint the value at the trail of ours comes from, as far as that is known."""
    if found := places.place_in(data, trail):
        return found
    top = str(trail[0])
    if top in ("name", "distro", "arch", "packages", "containers", "enabled_modules"):
        return trail[:1]
    return ("customizations", *_HOMES.get(top, (top,))[:1])


def _escaped(value: Any) -> Any:
    """`${` starts a variable in our blueprints; it has no meaning in osbuild's."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return places.like(value, value.replace("${", "$${")) if isinstance(value, str) else value
