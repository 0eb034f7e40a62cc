"""Translating the keys of an osbuild blueprint, which are those of osbuild/blueprint's Go types, to ours."""

from typing import Any

from osbuild_compose.importing import storage
from osbuild_compose.importing.source import Note, Table

_INSTALLER = "only images can be built, no installers"


def convert(data: dict[str, Any], distro: str | None, name: str) -> tuple[dict[str, Any], list[Note]]:
    """Our blueprint as JSON data, and notes on what could not be converted.

    distro replaces the one in the blueprint; name is used if the blueprint has none. The result may have keys that our
    schema does not have, or values that it refuses: conversion.fit removes these.
    """
    notes: list[Note] = []
    top = Table(data, "", notes)
    found: dict[str, Any] = {
        "name": top.take("name", str) or name,
        "description": top.take("description", str),
        "version": top.take("version", str),
        "distro": distro or top.take("distro", str),
        "arch": top.take("architecture", str),
        "packages": _packages(top),
        "enabled_modules": _modules(top),
    }
    top.taken.add("distro")
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
    top.rest()
    custom.rest()
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}, notes


def _containers(top: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, item in enumerate(top.tables("containers")):
        source, name, verify = item.take("source", str), item.take("name", str), item.take("tls-verify", bool)
        item.refuse("images come from registries and archives", "local-storage")
        item.rest()
        url = f"docker://{source}"
        if not source or "@" not in source:
            how = f"name it in `containers` with its digest: skopeo inspect --format '{{{{.Digest}}}}' {url}"
            top.note(f"containers[{index}]", how)
            continue
        insecure = {"tls_verify": False} if verify is False else {}
        found.append({"name": name or source.partition("@")[0], "url": url, **insecure})
    return found


def _packages(top: Table) -> list[str]:
    found: list[str] = []
    for item in [*top.tables("packages"), *top.tables("modules")]:
        name, version = item.take("name", str), item.take("version", str)
        if name:
            found.append(name if version in (None, "", "*") else f"{name}-{version}")
        item.rest()
    for item in top.tables("groups"):
        if name := item.take("name", str):
            found.append(f"@{name}")
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
        "kernel": _set({"package": kernel.take("name", str), "append": kernel.take("append", str)}),
        "timezone": timezone.take("timezone", str),
        "timeservers": timezone.texts("ntpservers"),
        "locale": languages[0] if languages else None,
        "languages": languages[1:],
        "keyboard": locale.take("keyboard", str),
        "fips": custom.take("fips", bool) or None,
        "sshd": _set(
            {
                "password_authentication": sshd.take("password_authentication", bool),
                "kbd_interactive_authentication": sshd.take("kbd_interactive_authentication", bool),
                "client_alive_interval": sshd.take("client_alive_interval", int),
                "permit_root_login": sshd.take("permit_root_login", bool, str),
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
            table.note(f"scripts[{number - 1}]", f"write the script itself: type {kind} is not supported")
            continue
        name = (item.take("name", str) or f"script-{number}").lower().replace("_", "-").replace(" ", "-")
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
        fields = {key: item.take(key, str) for key in ("name", "description", "password", "home", "shell")}
        for key in ("uid", "gid", "expiredate"):
            fields[key] = item.take(key, int)
        fields["home"] = _without_slash(fields["home"])
        fields["groups"] = item.texts("groups") or None
        fields["force_password_reset"] = item.take("force_password_reset", bool) or None
        fields["ssh_keys"] = _lines(item.take("key", str)) or None
        item.rest()
        if fields["name"]:
            users[fields["name"]] = _set(fields)
    for item in custom.tables("sshkey"):
        name, key = item.take("user", str), item.take("key", str)
        item.rest()
        if name and key:
            user = users.setdefault(name, {"name": name})
            user["ssh_keys"] = [*user.get("ssh_keys", []), *_lines(key)]
    groups = []
    for item in custom.tables("group"):
        groups.append(_set({"name": item.take("name", str), "gid": item.take("gid", int)}))
        item.rest()
    return {"users": list(users.values()), "groups": groups}


def _network_and_services(custom: Table) -> dict[str, Any]:
    firewall, services = custom.table("firewall"), custom.table("services")
    let = firewall.table("services")
    zones = []
    for item in firewall.tables("zones"):
        zones.append(_set({"name": item.take("name", str), "sources": item.texts("sources") or None}))
        item.rest()
    allowed = {key: let.texts(key) or None for key in ("enabled", "disabled")}
    found = {
        "firewall": _set({"ports": firewall.texts("ports"), "services": _set(allowed), "zones": zones}),
        "services": _set({key: services.texts(key) or None for key in ("enabled", "disabled", "masked")}),
    }
    for table in (firewall, let, services):
        table.rest()
    return found


def _files(custom: Table) -> dict[str, Any]:
    directories, files = [], []
    for item in custom.tables("directories"):
        item.take("ensure_parents", bool)  # ours are always created
        directories.append(_set(_owned(item)))
        item.rest()
    for item in custom.tables("files"):
        fields, content = _owned(item), item.take("data", str)
        if (uri := item.take("uri", str)) is not None:
            item.note("uri", f"save {uri} beside the blueprint and name the file as `source`")
        else:
            files.append(_set({**fields, "content": content or ""}))
        item.rest()
    return {"directories": directories, "files": files}


def _owned(item: Table) -> dict[str, Any]:
    return {
        "path": _without_slash(item.take("path", str)),
        "mode": item.take("mode", str),
        "owner": item.take("user", str, int),
        "group": item.take("group", str, int),
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
        fields["check_signatures"] = False if item.take("gpgcheck", bool) is False else None
        # In osbuild a repository is only for the image, unless `install_from` is set.
        fields["use"] = None if item.take("install_from", bool) else "image"
        if item.take("sslverify", bool) is False:
            item.note("sslverify", "certificates are always checked")
        item.refuse("signatures of packages are checked instead", "repo_gpgcheck")
        item.refuse("not supported yet", "module_hotfixes")
        item.refuse("all repositories are written to compose.repo", "filename")
        item.rest()
        found.append(_set(fields))
    return ["default", *found] if found else []


def _without_slash(path: Any) -> Any:
    return (path.rstrip("/") or "/") if isinstance(path, str) else path


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _set(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value, which may be an empty text."""
    return {key: value for key, value in fields.items() if value is not None and value not in ([], {})}
