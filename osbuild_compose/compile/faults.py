"""Finds the value of a blueprint that the error of a failed stage is about."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import provenance
from osbuild_compose.compile.explanation import StageOrigin
from osbuild_compose.distro.model import Release
from osbuild_compose.document.node import Trail, path_text
from osbuild_compose.errors import BuildError

_OPTION = re.compile(r"option: (\[.*\])")  # where in its options a stage says that the error is: stagelib.api
_SCRIPT = "org.osbuild.script"
_SCRIPTS = (_SCRIPT, "org.osbuild-compose.script-with-network")
_UNITS = "org.osbuild.systemd"
_PROSE = ("content", "base64", "description")  # keys whose words are not names of anything
_SHORT = 3  # letters
_NO_NETWORK = re.compile(
    r"could not resolve|couldn't resolve|unable to resolve|failure (in name )?resol|name or service not known|"
    r"network is unreachable|no address associated|nodename nor servname|getaddrinfo|EAI_AGAIN|ENOTFOUND|"
    r"failed to establish a new connection|cannot download|no such host|Could not connect to|Curl error \(6\)",
    re.IGNORECASE,
)
_NETWORK_HINT = (
    "scripts have no network: packages belong into `packages`, files into `files` with `url` and `sha256`, "
    "what needs the network on the machine into `first_boot` with `wait_for_network`; "
    "`network: true` gives it to a script, whose result is not reproducible then"
)
_TOO_SMALL = re.compile(r"too small|not fit|no room|no space left in")
_DISK_SIZE: Trail = ("disk", "size")
_OTHER_MACHINE = re.compile(r"exec format error", re.IGNORECASE)
_MACHINE_HINT = "programs for another architecture need qemu-user-static and binfmt_misc on this machine"


@dataclass(frozen=True)
class _Candidate:
    """A value of the blueprint that a stage was made from; `forms` are the texts that it may have in the pipeline."""

    trail: Trail
    written: str
    forms: tuple[str, ...]


def step_trail(document: Mapping[str, Any], step: str) -> Trail | None:
    """Where in a pipeline document the stage or the assembler with that id of osbuild is; None if it is not there."""
    inner = document.get("pipeline", document)
    found = [one["id"] for one in provenance.ids(inner, len(inner["stages"]))]
    if step in found:
        return ("stages", found.index(step))
    build = inner.get("build")
    if build and (trail := step_trail(build["pipeline"], step)):
        return ("build", "pipeline", *trail)
    if assembler := inner.get("assembler"):
        root = provenance.tree_id(build) if build else None
        last = found[-1] if found else inner.get("base")
        if provenance.stage_id(assembler["name"], root, last, assembler.get("options", {})) == step:
            return ("assembler",)
    return None


def step_ids(document: Mapping[str, Any]) -> list[str]:
    """osbuild's ids of all stages and assemblers in a pipeline document, those of its build root first."""
    inner = document.get("pipeline", document)
    build = inner.get("build")
    found = [one["id"] for one in provenance.ids(inner, len(inner["stages"]))]
    if assembler := inner.get("assembler"):
        root = provenance.tree_id(build) if build else None
        last = found[-1] if found else inner.get("base")
        found.append(provenance.stage_id(assembler["name"], root, last, assembler.get("options", {})))
    return [*(step_ids(build["pipeline"]) if build else []), *found]


@dataclass(frozen=True)
class FailedStep:
    """The stage or assembler that failed: its trail in the pipeline, and its options there."""

    trail: Trail
    options: Any


def point(
    error: BuildError, step: FailedStep, stages: Sequence[StageOrigin], blueprint: Blueprint, release: Release
) -> None:
    """Give the error the place in the blueprint that it is about, if that can be seen, and a hint in its words.

    stages are those of the pipeline.
    """
    stage = next((one for one in stages if one.trail == step.trail), None)
    option = _taken_option(error)
    if stage is None or blueprint.document is None:
        return
    if stage.name == _SCRIPT and not error.hint and _NO_NETWORK.search("\n".join(error.details)):
        error.hint = _NETWORK_HINT
    elif _OTHER_MACHINE.search("\n".join((error.brief, *error.details))):
        error.hint = _MACHINE_HINT
    data = blueprint.document.data
    found = _script(stage) or _best(error.brief, option, step.options, _candidates(stage, data, release))
    if found is None and _TOO_SMALL.search(error.brief) and _at(data, _DISK_SIZE) is not None:
        found = _Candidate(_DISK_SIZE, "", ())
    if found is None:
        return
    error.location = blueprint.document.at_value(found.trail)
    error.path = path_text(found.trail)
    ours = next((form for form in found.forms[1:] if form in error.brief), "")
    if stage.name == _UNITS:
        if ours and found.written not in error.brief:
            error.details = (
                f"`{found.trail[0]}` has {found.written}, which is {ours} in {release.name}",
                *error.details,
            )
        error.hint = _package_hint(found, blueprint, release) or error.hint


def point_to_address(error: BuildError, blueprint: Blueprint) -> bool:
    """Give an error of what could not be fetched the place of the address in the blueprint; whether that has it."""
    if blueprint.document is None:
        return False
    text = "\n".join((error.brief, *error.details))
    for trail, value in _scalars(blueprint.document.data, ()):
        if isinstance(value, str) and "://" in value and _mention(text, value.removeprefix("docker://")) >= 0:
            error.location = blueprint.document.at_value(trail)
            error.path = path_text(trail)
            return True
    return False


def _taken_option(error: BuildError) -> Trail:
    """The place in the stage's options that its output names, which is taken out of the details."""
    option: Trail = ()
    kept = []
    for line in error.details:
        if match := _OPTION.fullmatch(line):
            try:
                option = tuple(step for step in json.loads(match[1]) if isinstance(step, str | int))
                continue
            except ValueError:
                pass
        kept.append(line)
    error.details = tuple(kept)
    return option


def _script(stage: StageOrigin) -> _Candidate | None:
    """The script of a stage that runs one of the blueprint's."""
    places = {trail[:2] for trail, _ in stage.values}
    if stage.name in _SCRIPTS and len(places) == 1 and (place := places.pop())[0] == "scripts" and place[1:]:
        return _Candidate(place, "", ())
    return None


def _candidates(stage: StageOrigin, data: Any, release: Release) -> list[_Candidate]:
    found = []
    for trail, _ in stage.values:
        for at, value in _scalars(_at(data, trail), trail):
            if isinstance(value, bool) or not str(value).strip() or at[-1] in _PROSE:
                continue
            text = str(value)
            forms = [text]
            if at[0] == "services":
                forms.append(release.services.get(text, text))
            if at[0] in ("packages", "exclude"):
                forms.append(re.split(r"[=/]", text.lstrip("@"), maxsplit=1)[0])
            found.append(_Candidate(at, text, tuple(dict.fromkeys(forms))))
    return found


def _best(brief: str, option: Trail, options: Any, candidates: list[_Candidate]) -> _Candidate | None:
    """The candidate that the message names, the last one if there are several, or that the stage points to."""
    wanted = _at(options, option) if option else None
    names = [str(step) for step in option if isinstance(step, str)]
    best: tuple[tuple[int, int, int], _Candidate] | None = None
    for candidate in candidates:
        mention = max((_mention(brief, form) for form in candidate.forms), default=-1)
        is_wanted = wanted is not None and not isinstance(wanted, dict | list) and str(wanted) in candidate.forms
        is_named = any(form in names for form in candidate.forms)
        if mention < 0 and not is_wanted and not is_named:
            continue
        keys = sum(1 for step in candidate.trail if step in names)
        score = (8 * is_wanted + keys + is_named, mention, len(candidate.trail))
        if best is None or score > best[0]:
            best = (score, candidate)
    return best[1] if best else None


def _mention(brief: str, form: str) -> int:
    """Where the text is last named in the message, as a word; -1 if it is not.

    A short word, which may be one of the message's own, has to be in quotes.
    """
    if form.isalpha() and len(form) <= _SHORT:
        form = f"'{form}'"
    places = [match.start() for match in re.finditer(rf"(?<![\w+-]){re.escape(form)}(?![\w+-])", brief)]
    return places[-1] if places else -1


def _package_hint(found: _Candidate, blueprint: Blueprint, release: Release) -> str:
    packages: Mapping[str, str] = release.variables.get("service_packages", {})
    names = {form.removesuffix(".service") for form in found.forms}
    package = next((packages[name] for name in names if name in packages), None)
    return f"add {package} to `packages`" if package and package not in blueprint.packages else ""


def _at(data: Any, trail: Trail) -> Any:
    for step in trail:
        try:
            data = data[step]
        except (LookupError, TypeError):
            return None
    return data


def _scalars(value: Any, trail: Trail) -> Iterator[tuple[Trail, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield trail, value
    else:
        for step, item in items:
            yield from _scalars(item, (*trail, step))
