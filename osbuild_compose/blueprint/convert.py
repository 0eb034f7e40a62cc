"""Converts a document that passed all checks to a Blueprint."""

import base64
from collections.abc import Mapping
from datetime import date
from typing import Any

from osbuild_compose.blueprint import model, network
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.blueprint.overlay import Overlay
from osbuild_compose.blueprint.values import certificate, container_reference, credentials, debconf, ports
from osbuild_compose.blueprint.values.package_file import is_file
from osbuild_compose.disk.parse import Parsed
from osbuild_compose.distro.repository import (
    ARMOUR,
    KeyAddress,
    Repository,
    Use,
    from_fields,
    is_flat,
    is_local,
    local_path,
)
from osbuild_compose.document.reader import Document

_EPOCH = date(1970, 1, 1)
_SIMPLE = ("name", "distro", "description", "version", "arch", "hostname", "timezone", "keyboard")
_AS_IS = ("fips", "sysctl", "cloud_init", "embed_provenance")
_LISTS = ("exclude", "timeservers", "tmpfiles")


def convert(document: Document, disk: Parsed) -> model.Blueprint:
    """The blueprint in the document, whose disk was read before. Reads the files that it names."""
    data = document.data
    local_files = LocalFiles(document.file)
    given = {key: data[key] for key in (*_SIMPLE, *_AS_IS) if key in data}
    given |= {key: tuple(data[key]) for key in _LISTS if key in data}
    if "locale" in data:
        given["locale"] = locale(data["locale"])
    given["languages"] = tuple(map(locale, data.get("languages", ())))
    return model.Blueprint(
        **given,
        packages=tuple(item for item in data.get("packages", ()) if not is_file(item)),
        package_files=tuple(
            dict.fromkeys(_package_file(item, local_files) for item in data.get("packages", ()) if is_file(item))
        ),
        recommends=data.get("recommends", False),
        debconf=tuple(debconf.answers(data.get("debconf"))),
        repositories=_repositories(data.get("repositories", ["default"]), local_files),
        enabled_modules=tuple(model.Module(**item) for item in data.get("enabled_modules", ())),
        users=tuple(_user(user, data["name"]) for user in data.get("users", ())),
        groups=tuple(model.Group(**group) for group in data.get("groups", ())),
        services=model.Services(**_tuples(data.get("services", {}))),
        units=tuple(_unit(unit, local_files) for unit in data.get("units", ())),
        timers=tuple(model.Timer(**timer) for timer in data.get("timers", ())),
        cron=tuple(model.CronJob(**job) for job in data.get("cron", ())),
        network=network.convert(data["network"]) if "network" in data else None,
        firewall=_firewall(data["firewall"]) if "firewall" in data else None,
        selinux=model.Selinux(data["selinux"]) if "selinux" in data else None,
        modprobe=model.Modprobe(**_tuples(data.get("modprobe", {}))),
        udev_rules=tuple(_named(rules, local_files) for rules in data.get("udev_rules", ())),
        sshd=model.Sshd(**_tuples(data["sshd"])) if "sshd" in data else None,
        cacerts=tuple(pem for item in data.get("cacerts", ()) for pem in certificates(item, local_files)),
        initramfs=model.Initramfs(**_tuples(data["initramfs"])) if "initramfs" in data else None,
        directories=tuple(model.Directory(**_at_path(item)) for item in data.get("directories", ())),
        files=tuple(_file(item, local_files) for item in data.get("files", ()) if not _is_overlay(item, local_files)),
        overlays=tuple(_overlay(item, local_files) for item in data.get("files", ()) if _is_overlay(item, local_files)),
        symlinks=tuple(model.Symlink(**_at_path(item)) for item in data.get("symlinks", ())),
        containers=tuple(_container(item, local_files) for item in data.get("containers", ())),
        scripts=tuple(
            model.Script(_script(item, local_files), isinstance(item, dict) and item.get("network", False))
            for item in data.get("scripts", ())
        ),
        first_boot=tuple(
            _first_boot(item, number, local_files) for number, item in enumerate(data.get("first_boot", ()), 1)
        ),
        kernel=model.Kernel(**data.get("kernel", {})),
        disk=disk.disk,
        formats=disk.outputs,
        build_environment=_build_environment(data),
        document=document,
    )


def certificates(item: str, local_files: LocalFiles) -> tuple[str, ...]:
    """The certificates of an item of `cacerts`. Raises InvalidValueError if it has none."""
    if certificate.MARK in item:
        return certificate.split(item, "this")
    return certificate.split(local_files.read(item).decode(errors="replace"), item)


def locale(name: str) -> str:
    """The locale's name; C.UTF-8, which is always there, in one form: `locale -a` lists it as C.utf8."""
    return "C.UTF-8" if name.lower() in ("c.utf8", "c.utf-8") else name


def days(expiredate: str | int) -> int:
    """Days since 1970-01-01. Raises ValueError for a date that does not exist."""
    return expiredate if isinstance(expiredate, int) else (date.fromisoformat(expiredate) - _EPOCH).days


def _user(data: Mapping[str, Any], blueprint: str) -> model.User:
    fields = _tuples(data)
    if "password" in fields:
        fields["password"] = credentials.hashed(fields["password"], blueprint, fields["name"])
    if "expiredate" in fields:
        fields["expiredate"] = days(fields["expiredate"])
    return model.User(**fields)


def _unit(data: Mapping[str, Any], local_files: LocalFiles) -> model.Unit:
    dropins = tuple(_named(item, local_files) for item in data.get("dropins", ()))
    return model.Unit(data["name"], _text(data, local_files), dropins)


def _named(data: Mapping[str, Any], local_files: LocalFiles) -> model.NamedFile:
    return model.NamedFile(data["name"], _text(data, local_files) or "")


def _text(data: Mapping[str, Any], local_files: LocalFiles) -> str | None:
    """The text in `content` or in the file `source`."""
    if "source" in data:
        return local_files.text(data["source"])
    content: str | None = data.get("content")
    return content


def _package_file(item: str | Mapping[str, Any], local_files: LocalFiles) -> model.PackageFile:
    if isinstance(item, str) or "source" in item:
        return model.PackageFile(*local_files.large(item if isinstance(item, str) else item["source"]))
    return model.PackageFile(item["url"], item["sha256"])


def _container(data: Mapping[str, Any], local_files: LocalFiles) -> model.Container:
    if "source" in data:
        url, digest = local_files.large(data["source"])
        return model.Container(data["name"], digest, url)
    if container_reference.is_address(data["url"]):
        image = container_reference.parse(data["url"])
        return model.Container(data["name"], image.sha256, image=image.name, tls_verify=data.get("tls_verify", True))
    return model.Container(data["name"], data["sha256"], data["url"])


def _script(item: str | Mapping[str, Any], local_files: LocalFiles) -> str:
    return item if isinstance(item, str) else _text(item, local_files) or ""


def _first_boot(item: str | Mapping[str, Any], number: int, local_files: LocalFiles) -> model.FirstBootScript:
    fields = {} if isinstance(item, str) else _tuples(item)
    fields.pop("source", None)
    return model.FirstBootScript(**{"name": f"script-{number}", **fields, "content": _script(item, local_files)})


def _file(data: Mapping[str, Any], local_files: LocalFiles) -> model.File:
    fields = _at_path(data)
    if "base64" in fields:
        fields["base64"] = _encode(base64.b64decode("".join(fields["base64"].split())))
    if "source" in fields:
        source = fields.pop("source")
        if local_files.is_large(source):
            url, digest = local_files.large(source)
            return model.File(**fields, url=url, sha256=digest)
        content = local_files.read(source)
        try:
            fields["content"] = content.decode()
        except UnicodeDecodeError:
            fields["base64"] = _encode(content)
    return model.File(**fields)


def _is_overlay(data: Mapping[str, Any], local_files: LocalFiles) -> bool:
    return "source" in data and local_files.is_directory(data["source"])


def _overlay(data: Mapping[str, Any], local_files: LocalFiles) -> Overlay:
    return local_files.overlay(data["source"], model.normal_path(data["path"]), data)


def _build_environment(data: Mapping[str, Any]) -> model.BuildEnvironment | None:
    fields = data.get("build_environment", {"from": model.HOST})
    if fields["from"] == model.HOST:
        return None
    distro = data["distro"] if fields["from"] == model.OWN else fields["from"]
    return model.BuildEnvironment(distro, tuple(fields.get("packages", ())))


def _firewall(data: Mapping[str, Any]) -> model.Firewall:
    services = model.FirewallServices(**_tuples(data.get("services", {})))
    zones = tuple(model.FirewallZone(zone["name"], tuple(zone["sources"])) for zone in data.get("zones", ()))
    ipsets = tuple(model.FirewallIpset(item["name"], tuple(item["entries"])) for item in data.get("ipsets", ()))
    open_ports = dict.fromkeys(map(ports.numbered, data.get("ports", ())))
    return model.Firewall(tuple(open_ports), services, zones, ipsets)


def _repositories(items: list[Any], local_files: LocalFiles) -> model.Repositories:
    own: list[Repository] = []
    for item in items:
        if isinstance(item, str):
            continue
        keys = item.get("keys", ())
        named = [key for key in keys if isinstance(key, str)]
        texts = (key if ARMOUR in key else local_files.read(key).decode(errors="replace") for key in named)
        addresses = (KeyAddress(key["url"], _digits(key["fingerprint"])) for key in keys if isinstance(key, dict))
        fields = {**item, "keys": tuple(texts), "key_addresses": tuple(addresses)}
        fields["use"] = Use(item.get("use", "both"))
        address = item.get("url") or item.get("baseurl", "")
        if is_local(address):
            # The pipeline's stages have its files by their digests, so that it does not matter where the directory is.
            fields |= {"directory": local_files.directory(local_path(address)), "use": Use.BUILD}
        if is_flat(item.get("suites", ())):
            fields["components"] = ()
        own.append(from_fields(fields))
    return model.Repositories(default="default" in items, own=tuple(own))


def _digits(fingerprint: str) -> str:
    return "".join(fingerprint.split()).upper()


def _at_path(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "path": model.normal_path(data["path"])}


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
