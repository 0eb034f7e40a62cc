"""Translating the keys of an osbuild blueprint, which are those of osbuild/blueprint's Go types, to ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from osbuild_compose.importing import storage
from osbuild_compose.importing.places import Source, like
from osbuild_compose.importing.source import Note, Table

_TEXTS_OF_USERS = ("name", "description", "password", "home", "shell")
_SERVICES = ("enabled", "disabled", "masked")
_INSTALLER = "only images can be built, no installers"


@dataclass(frozen=True)
class Target:
    """What the image's release has in another way than osbuild.

    before_version is between a package's name and its version; packages are those that keys need and that are in
    osbuild's images, or get into them for such keys: {"firewall": "firewalld"}.
    """

    before_version: str = "-"
    packages: Mapping[str, str] = field(default_factory=dict)


def convert(source: Source, distro: str | None, target: Target | None = None) -> tuple[dict[str, Any], list[Note]]:
    """Our blueprint as JSON data, and notes on what could not be converted.

    distro replaces the one in the blueprint. The texts and numbers of the result know their place. It may have keys
    that our schema does not have, or values that it refuses: conversion.fit removes these. Raises InputError for what
    must not be lost and cannot be converted.
    """
    notes: list[Note] = []
    target = target or Target()
    top = Table(source.data, (), notes, source)
    found: dict[str, Any] = {
        "name": top.take("name", str),
        "description": top.take("description", str),
        "version": top.take("version", str),
        "distro": distro or top.take("distro", str),
        "arch": _architecture(top),
        "packages": _packages(top, target.before_version),
        "enabled_modules": _modules(top),
    }
    top.taken.add("distro")
    top.taken.update(("arch", "distribution"))
    found["containers"] = _containers(top)
    custom = top.table("customizations")
    found.update(_system(custom))
    found.update(_accounts(custom))
    found.update(_network_and_services(custom))
    found.update(_files(custom))
    found["repositories"] = _repositories(custom)
    found["disk"] = storage.disk(custom)
    custom.refuse(_INSTALLER, "installer", "installation_device", "iso", "ignition", "fdo")
    if custom.take("rhsm", dict):  # also if it only disables something
        custom.note("rhsm", "registration happens on the running system: use `first_boot`")
    custom.refuse("run `oscap` with its profile in `scripts`", "openscap")
    custom.refuse("containers are stored where podman stores them", "containers-storage")
    custom.refuse("list the keys of a repository in `repositories`", "rpm")
    custom.refuse("write the file yourself, in `files`: /etc/dnf/dnf.conf or /etc/dnf/vars", "dnf")
    wants = {"firewall": bool(found["firewall"]), "sshd": bool(found["sshd"]) or _runs_sshd(found["services"])}
    needed = [package for key, package in target.packages.items() if wants[key]]
    found["packages"] += [package for package in needed if package not in found["packages"]]
    top.rest()
    custom.rest()
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}, notes


def _architecture(top: Table) -> str | None:
    found: str | None = top.need("architecture", str) or top.need("arch", str)
    return like(found, {"amd64": "x86_64", "arm64": "aarch64"}.get(found, found)) if found else None


def _runs_sshd(services: dict[str, Any]) -> bool:
    return any(name.removesuffix(".service") == "sshd" for name in services.get("enabled") or ())


def _containers(top: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for item in top.tables("containers"):
        source, name, verify = item.take("source", str), item.take("name", str), item.take("tls-verify", bool)
        item.refuse("images come from registries and archives", "local-storage")
        item.rest()
        url = f"docker://{source}"
        if not source or "@" not in source:
            how = f"name it in `containers` with its digest: skopeo inspect --format '{{{{.Digest}}}}' {url}"
            item.note("", how)
            continue
        insecure = {"tls_verify": False} if verify is False else {}
        found.append({"name": name or source.partition("@")[0], "url": like(source, url), **insecure})
    return found


def _packages(top: Table, mark: str) -> list[str]:
    """The packages and groups; `mark` is what the family puts before a version."""
    found: list[str] = []
    for item in [*top.tables("packages"), *top.tables("modules")]:
        name, version = item.take("name", str), item.take("version", str)
        if name:
            found.append(name if version in (None, "", "*") else like(name, f"{name}{mark}{version}"))
        item.rest()
    for item in top.tables("groups"):
        if name := item.take("name", str):
            found.append(like(name, f"@{name}"))
        item.rest()
    return list(dict.fromkeys(found))


def _modules(top: Table) -> list[dict[str, Any]]:
    found = []
    for item in top.tables("enabled_modules"):
        found.append(_set({"name": item.take("name", str), "stream": item.take("stream", str)}))
        item.rest()
    return found


def _system(custom: Table) -> dict[str, Any]:
    kernel, timezone, locale, sshd = (custom.table(key) for key in ("kernel", "timezone", "locale", "sshd"))
    certificates = custom.table("cacerts")
    languages = locale.texts("languages")
    found = {
        "hostname": custom.take("hostname", str),
        "kernel": _set({"package": kernel.take("name", str), "append": kernel.need("append", str)}),
        "timezone": timezone.take("timezone", str),
        "timeservers": timezone.texts("ntpservers"),
        "locale": languages[0] if languages else None,
        "languages": languages[1:],
        "keyboard": locale.take("keyboard", str),
        "fips": custom.need("fips", bool) or None,
        "sshd": _set(
            {
                "password_authentication": sshd.need("password_authentication", bool),
                "kbd_interactive_authentication": sshd.need("kbd_interactive_authentication", bool),
                "client_alive_interval": sshd.need("client_alive_interval", int),
                "permit_root_login": sshd.need("permit_root_login", bool, str),
            }
        ),
        "cacerts": certificates.texts("pem_certs"),
        "first_boot": _first_boot(custom.table("firstboot")),
    }
    for table in (kernel, timezone, locale, sshd, certificates):
        table.rest()
    return found


def _first_boot(table: Table) -> list[dict[str, Any]]:
    found = []
    for number, item in enumerate(table.tables("scripts"), 1):
        if (kind := item.take("type", str)) not in (None, "", "custom"):
            item.note("", f"write the script itself: type {kind} is not supported")
            continue
        given = item.take("name", str)
        name = like(given, (given or f"script-{number}").lower().replace("_", "-").replace(" ", "-"))
        found.append(
            _set(
                {
                    "name": name,
                    "content": item.take("contents", str),
                    "after": item.texts("after") or None,
                    "before": item.texts("before") or None,
                    "ignore_failure": item.take("ignore_failure", bool) or None,
                }
            )
        )
        item.rest()
    table.rest()
    return found


def _accounts(custom: Table) -> dict[str, Any]:
    users: dict[str, dict[str, Any]] = {}
    for item in custom.tables("user"):
        fields = {key: item.take(key, str, protects=key != "description") for key in _TEXTS_OF_USERS}
        for key in ("uid", "gid", "expiredate"):
            fields[key] = item.take(key, int, protects=True)
        fields["home"] = _without_slash(fields["home"])
        fields["groups"] = item.texts("groups") or None
        fields["force_password_reset"] = item.take("force_password_reset", bool, protects=True) or None
        fields["ssh_keys"] = _lines(item.take("key", str)) or None
        for key in ("hasPassword", "has_password"):
            if item.take(key, bool) and not fields["password"]:
                item.note(key, "the export does not have the password; set one, or nobody can log in by password")
        item.rest()
        if fields["name"] and item.is_whole("user"):
            users[fields["name"]] = _set(fields)
    for item in custom.tables("sshkey"):
        name, key = item.take("user", str), item.take("key", str)
        item.rest()
        if name and key:
            user = users.setdefault(name, {"name": name})
            user["ssh_keys"] = [*user.get("ssh_keys", []), *_lines(key)]
    groups = []
    for item in custom.tables("group"):
        group = {"name": item.take("name", str, protects=True), "gid": item.take("gid", int, protects=True)}
        item.rest()
        if item.is_whole("group"):
            groups.append(_set(group))
    return {"users": list(users.values()), "groups": groups}


def _network_and_services(custom: Table) -> dict[str, Any]:
    firewall, services = custom.table("firewall"), custom.table("services")
    let = firewall.table("services")
    zones = []
    for item in firewall.tables("zones"):
        zones.append(_set({"name": item.need("name", str), "sources": item.texts("sources", needed=True) or None}))
        item.rest()
    allowed = {key: let.texts(key, needed=key == "disabled") or None for key in ("enabled", "disabled")}
    found = {
        "firewall": _set({"ports": firewall.texts("ports"), "services": _set(allowed), "zones": zones}),
        "services": _set({key: services.texts(key, needed=key != "enabled") or None for key in _SERVICES}),
    }
    for table in (firewall, let, services):
        table.rest()
    return found


def _files(custom: Table) -> dict[str, Any]:
    directories, files = [], []
    for item in custom.tables("directories"):
        item.take("ensure_parents", bool)  # ours are always created
        fields = _owned(item)
        item.rest()
        if item.is_whole("directory"):
            directories.append(_set(fields))
    for item in custom.tables("files"):
        fields, content = _owned(item), item.take("data", str, protects=True)
        encoding = item.take("data_encoding", str, protects=True) or "plain"
        if encoding not in ("plain", "none", "base64"):
            item.note("data_encoding", f"there is no such encoding: {encoding}")
            item.spoilt = "data_encoding"
        item.take("ensure_parents", bool)  # ours are always created
        if (uri := item.take("uri", str)) is not None:
            item.note("uri", f"save {uri} beside the blueprint and name the file as `source`")
        elif item.is_whole("file"):
            files.append(_set({**fields, "base64" if encoding == "base64" else "content": content or ""}))
        item.rest()
    return {"directories": directories, "files": files}


def _owned(item: Table) -> dict[str, Any]:
    return {
        "path": _without_slash(item.take("path", str)),
        "mode": item.take("mode", str, protects=True),
        "owner": item.take("user", str, int, protects=True),
        "group": item.take("group", str, int, protects=True),
    }


def _repositories(custom: Table) -> list[Any]:
    found: list[Any] = []
    for item in custom.tables("repositories"):
        if item.take("enabled", bool) is False:
            item.note("enabled", "a repository that is not enabled is left out")
            continue
        urls = item.texts("baseurls")
        keys = item.texts("gpgkeys")
        for key in keys:
            if "BEGIN PGP" not in key:
                item.note("gpgkeys", f"save {key} beside the blueprint and name it in the repository's `keys`")
        fields = {key: item.take(key, str) for key in ("id", "name", "metalink", "mirrorlist")}
        fields["baseurl"] = urls[0] if urls else None
        if len(urls) > 1:
            item.note("baseurls", f"only the first is used: {urls[0]}")
        fields["priority"] = item.take("priority", int)
        fields["keys"] = [key for key in keys if "BEGIN PGP" in key] or None
        fields["check_signatures"] = False if item.take("gpgcheck", bool, protects=True) is False else None
        # In osbuild a repository is only for the image, unless `install_from` is set.
        fields["use"] = None if item.take("install_from", bool) else "image"
        if item.take("sslverify", bool) is False:
            item.note("sslverify", "certificates are always checked")
        if item.take("repo_gpgcheck", bool, protects=True):
            item.note("repo_gpgcheck", "signatures of packages are checked, and none of the list of packages")
            item.spoilt = "repo_gpgcheck"
        item.refuse("not supported yet", "module_hotfixes")
        item.refuse("all repositories are written to compose.repo", "filename")
        item.rest()
        if item.is_whole("repository"):
            found.append(_set(fields))
    return ["default", *found] if found else []


def _without_slash(path: Any) -> Any:
    return like(path, path.rstrip("/") or "/") if isinstance(path, str) else path


def _lines(text: str | None) -> list[str]:
    return [like(text, line.strip()) for line in (text or "").splitlines() if line.strip()]


def _set(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value, which may be an empty text."""
    return {key: value for key, value in fields.items() if value is not None and value not in ([], {})}
