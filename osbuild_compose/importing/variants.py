"""Other forms that blueprints of osbuild are found in: below a key, as a list, exported by the hosted service."""

from dataclasses import replace
from typing import Any

from osbuild_compose.document.node import Trail
from osbuild_compose.importing.places import Source

_HOSTED = ("distribution", "metadata", "snapshot_date", "image_requests", "content_template", "lint")
_INSIDE = (
    "packages",
    "users",
    "groups",
    "containers",
    "enabled_modules",
    "custom_repositories",
    "payload_repositories",
)


def normal(source: Source) -> Source:
    """The blueprint in osbuild's own form, which knows where in the file all of it is.

    Raises InputError for `customizations` that are several.
    """
    data, moved = source.data, dict[Trail, Trail]()
    inner = data.get("blueprint")
    if isinstance(inner, dict):  # config.json of bootc-image-builder, tests of image-builder
        outer = {key: data[key] for key in ("name", "distro", "arch") if isinstance(data.get(key), str)}
        moved = {(): ("blueprint",), **{(key,): (key,) for key in outer if key not in inner}}
        data = {**outer, **inner}
    custom = data.get("customizations")
    if isinstance(custom, list) and all(isinstance(item, dict) for item in custom) and custom:  # [[customizations]]
        if len(custom) > 1:
            raise source.error(("customizations", 1), "there are several `customizations`", "put them in one")
        data = {**data, "customizations": custom[0]}
        moved[("customizations",)] = (*moved.get((), ()), "customizations", 0)
    found = replace(source, data=data, moved=moved)
    return _exported(found) if _is_export(data) else found


def _is_export(data: dict[str, Any]) -> bool:
    custom = data.get("customizations")
    return any(key in data for key in _HOSTED) or (isinstance(custom, dict) and any(key in custom for key in _INSIDE))


def _exported(source: Source) -> Source:
    """An export of the hosted image builder: what osbuild has at the top is below `customizations`."""
    data = {key: value for key, value in source.data.items() if key not in ("metadata", "lint", "image_requests")}
    moved = dict(source.moved)
    if isinstance(data.get("distribution"), str) and "distro" not in data:
        data["distro"] = data.pop("distribution")
        moved[("distro",)] = source.original(("distribution",))
    custom = data.get("customizations")
    if not isinstance(custom, dict):
        return replace(source, data=data, moved=moved)
    custom = dict(custom)

    def move(key: str, *to: str) -> Any:
        """The list below that key, which is taken away from there."""
        moved[tuple(to)] = source.original(("customizations", key))
        return custom.pop(key)

    if isinstance(custom.get("packages"), list):
        names = move("packages", "packages")
        data["packages"] = [_package(name) for name in names]
        for index, name in enumerate(names):
            if isinstance(name, str):
                moved[("packages", index, "name")] = (*moved[("packages",)], index)
    for key in ("containers", "enabled_modules"):
        if key in custom and key not in data:
            data[key] = move(key, key)
    for key, ours in (("users", "user"), ("groups", "group"), ("custom_repositories", "repositories")):
        if isinstance(custom.get(key), list) and ours not in custom:
            custom[ours] = [_renamed(item, ours) for item in move(key, "customizations", ours)]
    if isinstance(custom.get("fips"), dict):
        custom["fips"] = custom["fips"].get("enabled")
    return replace(source, data={**data, "customizations": custom}, moved=moved)


def _package(item: Any) -> Any:
    """A package of the export, which is a name: @NAME for a group."""
    return {"name": item} if isinstance(item, str) else item


_NAMES = {
    "user": {"ssh_key": "key"},
    "group": dict[str, str](),
    "repositories": {
        **{"baseurl": "baseurls", "gpgkey": "gpgkeys", "check_gpg": "gpgcheck", "ssl_verify": "sslverify"},
        "check_repo_gpg": "repo_gpgcheck",
    },
}


def _renamed(item: Any, kind: str) -> Any:
    if not isinstance(item, dict):
        return item
    return {_NAMES[kind].get(key, key): value for key, value in item.items()}
