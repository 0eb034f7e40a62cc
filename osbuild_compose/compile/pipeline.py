"""Pipeline JSON, format v1: {"name", "stages": [{"name", "options"}], "assembler": {"name", "options"}}."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from osbuild_compose.blueprint import formats
from osbuild_compose.blueprint.disk import Firmware
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import identity, layout, qemu_disk, release_checks, templates
from osbuild_compose.compile.origin import Origin, Origins
from osbuild_compose.compile.reads import recorded_context
from osbuild_compose.compile.trace import Tracer
from osbuild_compose.distro.catalog import Catalog, built_in
from osbuild_compose.distro.model import Architecture, Release
from osbuild_compose.document import pages
from osbuild_compose.document.tree import path_text
from osbuild_compose.errors import DocumentError, InputError, TemplateError
from osbuild_compose.repository import DebRepository, Repository, RpmRepository, Use

Pipeline = dict[str, Any]
# Those of org.osbuild.qemu.
QEMU_FORMATS = (Format.RAW, Format.RAW_XZ, Format.QCOW2, Format.VDI, Format.VMDK, Format.VPC, Format.VHDX)


def compile_blueprint(
    blueprint: Blueprint,
    outputs: Sequence[Output],
    catalog: Catalog,
    mirrors: tuple[Repository, ...],
    instead: tuple[RpmRepository, ...] = (),
    *,
    build_root: tuple[str, ...] = (),
) -> Pipeline:
    """The pipeline that makes the blueprint's images: `outputs`, all of one run.

    mirrors are the release's repositories with the addresses to read from while building, `instead` what to read from
    instead of these and of the blueprint's; what ends up in the image is always the official address, or the
    blueprint's own. build_root: packages to make of them, instead of images, a root that stages can run in.

    Raises InputError, or DocumentError with all of them, when the release cannot do what the blueprint
    asks, TemplateError when the template is wrong or a key is missing.
    """
    release = catalog.release(blueprint.distro)
    context = _context(blueprint, outputs, release, mirrors, instead, build_root=build_root)
    text = _render(release, catalog, blueprint, context)
    try:
        return _parse(text, release.template)
    except TemplateError as error:
        position = error.position if isinstance(error, _BadTextError) else 0
        origin = origins(blueprint, outputs, catalog, mirrors, instead, build_root=build_root).at(position)
        raise located(error, origin) from None


def origins(
    blueprint: Blueprint,
    outputs: Sequence[Output],
    catalog: Catalog,
    mirrors: tuple[Repository, ...],
    instead: tuple[RpmRepository, ...] = (),
    *,
    build_root: tuple[str, ...] = (),
) -> Origins:
    """Where the parts of the pipeline that compile_blueprint makes of the same come from."""
    release = catalog.release(blueprint.distro)
    tracer = Tracer()
    context = _context(blueprint, outputs, release, mirrors, instead, build_root=build_root)
    context = recorded_context(context, tracer.read)
    return Origins.of(_render(release, catalog, blueprint, context, tracer), tracer)


def refusals(
    blueprint: Blueprint,
    outputs: Sequence[Output],
    catalog: Catalog,
    mirrors: tuple[Repository, ...],
    instead: tuple[RpmRepository, ...] = (),
) -> list[tuple[InputError, frozenset[str]]]:
    """What the release cannot do of a blueprint, each with the keys of the blueprint that this depends on."""
    release = catalog.release(blueprint.distro)
    tracer = Tracer()
    context = recorded_context(_context(blueprint, outputs, release, mirrors, instead), tracer.read)
    unfit = release_checks.problems(blueprint, release, bool(context["base_repositories"]))
    found = [(error, frozenset({error.path.partition(".")[0]})) for error in unfit]
    try:
        templates.render(release.template, catalog.directories, built_in(), context, tracer)
    except templates.RefusedError as refused:
        for item in refused.refusals:
            keys = frozenset(str(trail[0]) for trail in (item.trail, *item.reads) if trail)
            found.append((_refused(item, release, blueprint), keys))
    except TemplateError:
        pass  # it may follow from what is wrong; otherwise it is told when the rest is right
    return found


def located(error: TemplateError, origin: Origin | None) -> TemplateError:
    """The error with the place in a template that `origin` says, if that is known."""
    if origin is None:
        return error
    block = next((site for site in origin.around if site.what == "block"), None)
    inside = [f"in the block `{block.name}`, which begins in line {block.line}"] if block else []
    location = templates.location_of(origin.place.file, origin.place.line)
    return TemplateError(error.brief, details=[*inside, *error.details], hint=error.hint, location=location)


def _render(
    release: Release, catalog: Catalog, blueprint: Blueprint, context: dict[str, Any], tracer: Tracer | None = None
) -> str:
    """The text that the release's template makes. Raises InputError(s) for all that the release cannot do."""
    unfit = release_checks.problems(blueprint, release, bool(context["base_repositories"]))
    try:
        text = templates.render(release.template, catalog.directories, built_in(), context, tracer)
    except templates.RefusedError as refused:
        unfit += [_refused(item, release, blueprint) for item in refused.refusals]
    except TemplateError:
        if not unfit:  # otherwise it may follow from that
            raise
    if unfit:
        raise unfit[0] if len(unfit) == 1 else DocumentError(unfit)
    return text


def _refused(refusal: templates.Refusal, release: Release, blueprint: Blueprint) -> InputError:
    return InputError(
        f"{release.name} cannot do `{refusal.key}`: {refusal.reason}",
        hint=refusal.hint,
        location=blueprint.document.at_key(refusal.trail) if blueprint.document else None,
        path=path_text(refusal.trail),
        reference=pages.of_key(refusal.trail),
    )


def to_json(pipeline: Pipeline) -> str:
    """The canonical text of a pipeline: sorted keys, two spaces, one newline at the end.

    One with sources is {"pipeline", "sources"}, as osbuild has it.
    """
    if "sources" in pipeline:
        rest = {key: value for key, value in pipeline.items() if key != "sources"}
        pipeline = {"pipeline": rest, "sources": pipeline["sources"]}
    return json.dumps(pipeline, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _context(
    blueprint: Blueprint,
    outputs: Sequence[Output],
    release: Release,
    mirrors: tuple[Repository, ...],
    instead: tuple[RpmRepository, ...],
    *,
    build_root: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What templates see; docs/reference/templates.md describes it."""
    # A release that is not made for the blueprint's architecture is told; its template can be asked all the same.
    architecture = release.architectures.get(blueprint.arch) or next(iter(release.architectures.values()))
    own = tuple(_signed(item, release) for item in release_checks.usable(blueprint, release))
    default = blueprint.repositories.default
    to_build = tuple(item for item in own if item.use is not Use.IMAGE)
    read = tuple(_signed(repository, release) for repository in instead)
    return {
        "blueprint": blueprint,
        "release": release,
        "architecture": architecture,
        # The base system is the same for all blueprints that do not replace the archive, whatever they add to it.
        "base_repositories": read or (mirrors if default else to_build),
        "repositories": read or ((*mirrors, *to_build) if default else to_build),
        "own_repositories": tuple(item for item in own if item.use is not Use.BUILD),
        "services": _services(blueprint, release),
        "image": _image(blueprint, outputs, release, architecture),
        "build_root": build_root,
    }


def filename(blueprint: Blueprint, image_format: Format) -> str:
    """What the file of this format is called."""
    return f"{blueprint.name}{image_format.extension}"


def _output(item: Output, blueprint: Blueprint, firmware: Sequence[Firmware]) -> dict[str, Any]:
    """A file to make, as the assembler takes it."""
    made = {"format": item.format, "filename": filename(blueprint, item.format), **item.options}
    if item.format is Format.OCI_ARCHIVE:
        made["architecture"] = blueprint.arch
    if item.format.is_live and blueprint.kernel.append:
        made["kernel_opts"] = blueprint.kernel.append
    if item.format is Format.ISO:
        made["label"] = re.sub(r"[^A-Za-z0-9_.-]", "_", blueprint.name)[:32]
    if item.format is Format.OVA:
        made["name"] = blueprint.name
        made["firmware"] = Firmware.BIOS if Firmware.BIOS in firmware else Firmware.UEFI
    return made


def _image(
    blueprint: Blueprint, outputs: Sequence[Output], release: Release, architecture: Architecture
) -> dict[str, Any]:
    """What templates see as `image`."""
    firmware = tuple(Firmware(name) for name in architecture.firmware)
    made = layout.resolve(blueprint.disk, blueprint.name, blueprint.arch, firmware)
    items = [_output(item, blueprint, made.firmware) for item in outputs]
    only = outputs[0].format if len(outputs) == 1 else None
    multiple = max((formats.MULTIPLES.get(item.format, 0) for item in outputs), default=0)
    qemu = qemu_disk.options(made) if only in QEMU_FORMATS else None
    having = release.variables.get("disk_packages", {})
    root, root_path = made.holding("/")
    boot, boot_path = made.holding("/boot")
    return {
        "outputs": items,
        "format": outputs[0].format,
        "filename": items[0]["filename"],
        "is_live": any(item.format.is_live for item in outputs),
        "is_disk": any(item.format.is_disk for item in outputs),
        "disk": {**made.options, "size_multiple": multiple} if multiple and not blueprint.disk.size else made.options,
        "qemu": {**qemu, **items[0]} if qemu else None,
        "tar": {"filename": items[0]["filename"], "compression": only.compression} if only and only.is_tar else None,
        "identity": identity.uuid_for(blueprint.name, "image"),
        "file_systems": made.file_systems,
        "firmware": made.firmware,
        "bootloader": made.disk.bootloader,
        "packages": (*made.packages, *(name for feature in made.features for name in having.get(feature, ()))),
        "features": made.features,
        "veritytab": made.veritytab,
        "crypttab": made.crypttab,
        "uki": made.disk.uki,
        "root_volume": made.root_volume,
        "root_fs_uuid": root.uuid,
        "root_fs_type": root.file_system,
        "root_subvolume": root_path.strip("/"),
        "boot_fs_uuid": boot.uuid if boot is not root else None,
        "boot_path": boot_path,
        "esp": made.esp,
        "kernels": made.kernels,
    }


def _signed(repository: Repository, release: Release) -> Repository:
    """The repository with the release's keys where it has none of its own."""
    keys = repository.keys or tuple(dict.fromkeys(key for item in release.repositories for key in item.keys))
    if isinstance(repository, DebRepository):
        return replace(repository, keys=keys, url=repository.url.rstrip("/"))
    return replace(repository, keys=keys if repository.check_signatures else ())


def _services(blueprint: Blueprint, release: Release) -> dict[str, Any]:
    """The blueprint's services by the release's names, and what every image of the release starts."""

    def named(units: tuple[str, ...]) -> list[str]:
        return list(dict.fromkeys(release.services.get(unit, unit) for unit in units))

    asked = blueprint.services
    against = {*named(asked.disabled), *named(asked.masked)}
    enabled = [unit for unit in release.enabled_services if unit not in against] + named(asked.enabled)
    own = [f"{timer.name}.timer" for timer in blueprint.timers]
    own += [f"compose-first-boot-{script.name}.service" for script in blueprint.first_boot]
    return {
        "own": own,
        "enabled": list(dict.fromkeys(enabled)),
        "disabled": named(asked.disabled),
        "masked": named(asked.masked),
        "default_target": asked.default_target,
    }


class _BadTextError(TemplateError):
    """What a template makes is no YAML at `position` of its text."""

    position = 0


def _parse(text: str, template: str) -> Pipeline:
    try:
        pipeline = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        problem = str(getattr(error, "problem", "") or error)
        mark = getattr(error, "problem_mark", None)
        lines = text.split("\n")
        details = (
            [f"line {mark.line + 1} of its output: {lines[mark.line][:200]}"] if mark and mark.line < len(lines) else []
        )
        hint = "in a template each value is a whole one: write {{ a ~ b }}, not {{ a }}{{ b }}"
        bad = _BadTextError(f"template {template} does not make valid YAML: {problem}", details=details, hint=hint)
        bad.position = mark.index if mark else 0
        raise bad from None
    if not isinstance(pipeline, dict) or not isinstance(pipeline.get("stages"), list):
        raise TemplateError(f"template {template} makes no pipeline: a mapping with `name`, `stages` and `assembler`")
    return pipeline
