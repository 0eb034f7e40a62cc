"""From a document that passed all checks to a Blueprint."""

import base64
import os
from collections.abc import Mapping
from datetime import date
from typing import Any

from osbuild_compose.blueprint import (
    certificate,
    disk,
    formats,
    model,
    partition_types,
    passphrase,
    password,
    registry,
    settings,
    size,
)
from osbuild_compose.blueprint.beside import Beside
from osbuild_compose.blueprint.path import normal
from osbuild_compose.document.read import Document
from osbuild_compose.repository import ARMOUR, DebRepository, KeyAddress, Repository, RpmRepository, Use

_EPOCH = date(1970, 1, 1)
_SIMPLE = ("name", "distro", "description", "version", "arch", "hostname", "timezone", "locale", "keyboard")
_AS_IS = ("fips", "sysctl", "cloud_init", "embed_provenance")
_LISTS = ("packages", "exclude", "timeservers", "languages", "tmpfiles")


def convert(document: Document) -> model.Blueprint:
    """The blueprint in the document, with the content of the files that it names."""
    data = document.data
    beside = Beside(document.file)
    given = {key: data[key] for key in (*_SIMPLE, *_AS_IS) if key in data}
    given |= {key: tuple(data[key]) for key in _LISTS if key in data}
    return model.Blueprint(
        **given,
        repositories=_repositories(data.get("repositories", ["default"]), beside),
        enabled_modules=tuple(model.Module(**item) for item in data.get("enabled_modules", ())),
        users=tuple(_user(user, data["name"]) for user in data.get("users", ())),
        groups=tuple(model.Group(**group) for group in data.get("groups", ())),
        services=model.Services(**_tuples(data.get("services", {}))),
        units=tuple(_unit(unit, beside) for unit in data.get("units", ())),
        timers=tuple(settings.Timer(**timer) for timer in data.get("timers", ())),
        cron=tuple(settings.CronJob(**job) for job in data.get("cron", ())),
        firewall=_firewall(data["firewall"]) if "firewall" in data else None,
        selinux=model.Selinux(data["selinux"]) if "selinux" in data else None,
        modprobe=settings.Modprobe(**_tuples(data.get("modprobe", {}))),
        udev_rules=tuple(_named(rules, beside) for rules in data.get("udev_rules", ())),
        sshd=settings.Sshd(**_tuples(data["sshd"])) if "sshd" in data else None,
        cacerts=tuple(pem for item in data.get("cacerts", ()) for pem in certificates(item, beside)),
        initramfs=settings.Initramfs(**_tuples(data["initramfs"])) if "initramfs" in data else None,
        directories=tuple(model.Directory(**_at_path(item)) for item in data.get("directories", ())),
        files=tuple(_file(item, beside) for item in data.get("files", ())),
        symlinks=tuple(model.Symlink(**_at_path(item)) for item in data.get("symlinks", ())),
        containers=tuple(_container(item, beside) for item in data.get("containers", ())),
        scripts=tuple(_script(item, beside) for item in data.get("scripts", ())),
        first_boot=tuple(
            _first_boot(item, number, beside) for number, item in enumerate(data.get("first_boot", ()), 1)
        ),
        kernel=model.Kernel(**data.get("kernel", {})),
        disk=_disk(data.get("disk", {}), beside),
        formats=tuple(_output(item) for item in data.get("formats", ["qcow2"])),
        build_environment=_build_environment(data),
        document=document,
    )


def certificates(item: str, beside: Beside) -> tuple[str, ...]:
    """The certificates of one item of `cacerts`. Raises ValueError whose text says why there are none."""
    if certificate.MARK in item:
        return certificate.split(item)
    text = beside.read(item).decode(errors="replace")
    try:
        return certificate.split(text)
    except ValueError as error:
        raise ValueError(f"{item} {error}") from None


def days(expiredate: str | int) -> int:
    """Days since 1970-01-01. Raises ValueError for what is no date of the calendar."""
    return expiredate if isinstance(expiredate, int) else (date.fromisoformat(expiredate) - _EPOCH).days


def _user(data: Mapping[str, Any], blueprint: str) -> model.User:
    fields = _tuples(data)
    if "password" in fields:
        fields["password"] = password.hashed(fields["password"], blueprint, fields["name"])
    if "expiredate" in fields:
        fields["expiredate"] = days(fields["expiredate"])
    return model.User(**fields)


def _unit(data: Mapping[str, Any], beside: Beside) -> settings.Unit:
    dropins = tuple(_named(item, beside) for item in data.get("dropins", ()))
    return settings.Unit(data["name"], _text(data, beside), dropins)


def _named(data: Mapping[str, Any], beside: Beside) -> settings.NamedFile:
    return settings.NamedFile(data["name"], _text(data, beside) or "")


def _text(data: Mapping[str, Any], beside: Beside) -> str | None:
    """The text in `content` or in the file `source`."""
    if "source" in data:
        return beside.text(data["source"])
    content: str | None = data.get("content")
    return content


def _container(data: Mapping[str, Any], beside: Beside) -> settings.Container:
    if "source" in data:
        url, digest = beside.large(data["source"])
        return settings.Container(data["name"], digest, url)
    if registry.is_address(data["url"]):
        image = registry.parse(data["url"])
        return settings.Container(data["name"], image.sha256, image=image.name, tls_verify=data.get("tls_verify", True))
    return settings.Container(data["name"], data["sha256"], data["url"])


def _script(item: str | Mapping[str, Any], beside: Beside) -> str:
    return item if isinstance(item, str) else _text(item, beside) or ""


def _first_boot(item: str | Mapping[str, Any], number: int, beside: Beside) -> settings.FirstBootScript:
    fields = {} if isinstance(item, str) else _tuples(item)
    fields.pop("source", None)
    return settings.FirstBootScript(**{"name": f"script-{number}", **fields, "content": _script(item, beside)})


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


def _output(item: str | Mapping[str, Any]) -> formats.Output:
    if isinstance(item, str):
        return formats.Output(formats.Format(item))
    options = {key: item[key] for key in sorted(item) if key != "format"}
    for key in options.keys() & {"size", "free"}:
        options[key] = size.to_bytes(options[key])
    if "memory" in options:
        options["memory"] = size.to_bytes(options["memory"]) // size.MIB
    return formats.Output(formats.Format(item["format"]), options)


def _disk(data: Mapping[str, Any], beside: Beside) -> disk.Disk:
    fields = _in_bytes(data)
    fields["firmware"] = tuple(disk.Firmware(name) for name in data.get("firmware", ()))
    fields["partitions"] = tuple(_partition(item, beside) for item in data.get("partitions", ()))
    for key, kind in (("table", disk.Table), ("bootloader", disk.Bootloader)):
        if key in data:
            fields[key] = kind(data[key])
    return disk.Disk(**fields)


def _partition(data: Mapping[str, Any], beside: Beside) -> disk.Partition:
    fields = _in_bytes(data)
    if "type" in data:
        fields["type"] = partition_types.named(data["type"])
    if "luks" in data:
        fields["luks"] = disk.Luks(passphrase.read(data["luks"], beside, os.environ))
    fields["subvolumes"] = tuple(disk.Subvolume(**item) for item in data.get("subvolumes", ()))
    volumes = ({**_in_bytes(item), "group": data["volume_group"]} for item in data.get("logical_volumes", ()))
    fields["logical_volumes"] = tuple(disk.LogicalVolume(**item) for item in volumes)
    return disk.Partition(**fields)


def _in_bytes(data: Mapping[str, Any]) -> dict[str, Any]:
    sizes = ("size", "free", "minimum", "start")
    return {key: size.to_bytes(value) if key in sizes else value for key, value in data.items()}


def _build_environment(data: Mapping[str, Any]) -> model.BuildEnvironment | None:
    fields = data.get("build_environment", {"from": model.HOST})
    if fields["from"] == model.HOST:
        return None
    distro = data["distro"] if fields["from"] == model.OWN else fields["from"]
    return model.BuildEnvironment(distro, tuple(fields.get("packages", ())))


def _firewall(data: Mapping[str, Any]) -> model.Firewall:
    services = model.FirewallServices(**_tuples(data.get("services", {})))
    zones = tuple(model.FirewallZone(zone["name"], tuple(zone["sources"])) for zone in data.get("zones", ()))
    return model.Firewall(tuple(data.get("ports", ())), services, zones)


def _repositories(items: list[Any], beside: Beside) -> model.Repositories:
    own: list[Repository] = []
    for item in items:
        if isinstance(item, str):
            continue
        keys = item.get("keys", ())
        named = [key for key in keys if isinstance(key, str)]
        texts = (key if ARMOUR in key else beside.read(key).decode(errors="replace") for key in named)
        addresses = (KeyAddress(key["url"], _digits(key["fingerprint"])) for key in keys if isinstance(key, dict))
        fields = {**_tuples(item), "keys": tuple(texts), "key_addresses": tuple(addresses)}
        fields["use"] = Use(item.get("use", "both"))
        own.append(RpmRepository(**fields) if "id" in fields else DebRepository(**fields))
    return model.Repositories(default="default" in items, own=tuple(own))


def _digits(fingerprint: str) -> str:
    return "".join(fingerprint.split()).upper()


def _at_path(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "path": normal(data["path"])}


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
