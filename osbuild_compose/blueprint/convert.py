"""From a document that passed all checks to a Blueprint."""

import base64
from collections.abc import Mapping
from typing import Any

from osbuild_compose.blueprint import model, size
from osbuild_compose.blueprint.beside import Beside
from osbuild_compose.blueprint.path import normal
from osbuild_compose.document.read import Document
from osbuild_compose.repository import ARMOUR, DebRepository, Repository, RpmRepository


def convert(document: Document) -> model.Blueprint:
    """The blueprint in the document, with the content of the files that it names."""
    data = document.data
    beside = Beside(document.file)
    simple = ("name", "distro", "description", "version", "arch", "hostname", "timezone", "locale", "keyboard")
    lists = ("packages", "exclude", "timeservers", "scripts")
    given = {key: data[key] for key in simple if key in data} | {key: tuple(data[key]) for key in lists if key in data}
    return model.Blueprint(
        **given,
        repositories=_repositories(data.get("repositories", ["default"]), beside),
        users=tuple(model.User(**_tuples(user)) for user in data.get("users", ())),
        groups=tuple(model.Group(**group) for group in data.get("groups", ())),
        services=model.Services(**_tuples(data.get("services", {}))),
        firewall=_firewall(data["firewall"]) if "firewall" in data else None,
        selinux=model.Selinux(data["selinux"]) if "selinux" in data else None,
        directories=tuple(model.Directory(**_at_path(item)) for item in data.get("directories", ())),
        files=tuple(_file(item, beside) for item in data.get("files", ())),
        symlinks=tuple(model.Symlink(**_at_path(item)) for item in data.get("symlinks", ())),
        kernel=model.Kernel(**data.get("kernel", {})),
        disk=model.Disk(size.parse(data["disk"]["size"])) if "size" in data.get("disk", {}) else model.Disk(),
        formats=tuple(model.Format(name) for name in data.get("formats", ["qcow2"])),
        document=document,
    )


def _file(data: Mapping[str, Any], beside: Beside) -> model.File:
    fields = _at_path(data)
    if "base64" in fields:
        fields["base64"] = _encode(base64.b64decode("".join(fields["base64"].split())))
    if "source" in fields:
        content = beside.read(fields.pop("source"))
        try:
            fields["content"] = content.decode()
        except UnicodeDecodeError:
            fields["base64"] = _encode(content)
    return model.File(**fields)


def _firewall(data: Mapping[str, Any]) -> model.Firewall:
    services = model.FirewallServices(**_tuples(data.get("services", {})))
    return model.Firewall(tuple(data.get("ports", ())), services)


def _repositories(items: list[Any], beside: Beside) -> model.Repositories:
    own: list[Repository] = []
    for item in items:
        if isinstance(item, str):
            continue
        keys = (key if ARMOUR in key else beside.read(key).decode(errors="replace") for key in item.get("keys", ()))
        fields = {**_tuples(item), "keys": tuple(keys)}
        own.append(RpmRepository(**fields) if "id" in fields else DebRepository(**fields))
    return model.Repositories(default="default" in items, own=tuple(own))


def _at_path(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "path": normal(data["path"])}


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
