"""Blueprints to pipelines, and what tests look at in them."""

import json
from typing import Any

from jsonschema import Draft7Validator

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import pipeline
from osbuild_compose.compile.request import BuildRequest, of_outputs
from osbuild_compose.distro import catalog
from osbuild_compose.distro.family.host_apt import HostApt
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.distro.repository import NamedRepository
from osbuild_compose.document import reader
from tests.conftest import REPO

CATALOG = catalog.find()


def blueprint(text: str) -> Blueprint:
    """The blueprint of this text."""
    return load.check(reader.parse(text.encode(), "b.yaml"), CATALOG.releases)


def request(
    wanted: Blueprint,
    *formats: Format,
    host: HostApt | None = None,
    mirror: str | None = None,
    instead: tuple[NamedRepository, ...] = (),
) -> BuildRequest:
    """The request for images on a machine whose apt is set up as `host` says, with --mirror and --repo as given."""
    release = CATALOG.release(wanted.distro)
    repositories = release.family.mirrored(
        release.repositories, release.archives, Mirrors(mirror), lambda *_: host or HostApt()
    )
    outputs = tuple(Output(item) for item in formats or (Format.QCOW2,))
    return BuildRequest(of_outputs(wanted, outputs, release), outputs, CATALOG, repositories, instead)


def compiled(wanted: Blueprint, *formats: Format, **options: Any) -> dict[str, Any]:
    """The pipeline of the request for the same."""
    return pipeline.compile_request(request(wanted, *formats, **options))


def names(document: dict[str, Any]) -> list[str]:
    """The stages' names without what comes before their last dot."""
    return [stage["name"].rpartition(".")[2] for stage in document["stages"]]


def options(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The options of all stages of that name."""
    return [stage["options"] for stage in document["stages"] if stage["name"] == name]


def without_provenance(document: dict[str, Any]) -> dict[str, Any]:
    """The pipeline without the stage that embeds what made it."""
    stages = [stage for stage in document["stages"] if stage["name"] != "org.osbuild-compose.provenance"]
    return {**document, "stages": stages}


def files(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All files that the pipeline writes, by their paths."""
    stages = options(document, "org.osbuild-compose.files")
    return {file["path"]: file for stage in stages for file in stage.get("files", [])}


def check_options(document: dict[str, Any]) -> None:
    """Fail unless the document is a pipeline whose options are what the stages and the assembler take."""
    assert set(document) == {"name", "stages", "assembler"}
    programs = [("stages", stage) for stage in document["stages"]] + [("assemblers", document["assembler"])]
    for kind, program in programs:
        assert set(program) == {"name", "options"}
        meta = json.loads((REPO / kind / f"{program['name']}.meta.json").read_text())
        Draft7Validator(meta["schema"]).validate(program["options"])
