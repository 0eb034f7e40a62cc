"""From a document that fits the schema to a Blueprint, with the checks that a schema cannot make."""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint import model, size
from osbuild_compose.document.read import Document, Step
from osbuild_compose.errors import InputError

MAX_FILE = 16 * 1024 * 1024  # bytes; the file is carried inside the pipeline

_HASH = re.compile(r"\$[0-9a-z-]+\$[!-9;-~]+|[!*]")  # crypt(5), without the colon that ends the field
_ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def convert(document: Document) -> tuple[model.Blueprint, list[InputError]]:
    """The blueprint in `document`, which fits the schema, and what is wrong with it all the same.

    Reads the files that the blueprint names, relative to its directory. The blueprint is of use only if nothing is
    wrong.
    """
    converter = _Converter(document)
    return converter.blueprint(document.data), converter.problems


class _Converter:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[InputError] = []

    def blueprint(self, data: Mapping[str, Any]) -> model.Blueprint:
        self._once(data, "users", "name")
        self._once(data, "groups", "name")
        self._one_thing_for_a_path(data)
        services = {key: _tuple(value) for key, value in data.get("services", {}).items()}
        self._one_state_for_a_service(services)
        return model.Blueprint(
            name=data["name"],
            distro=data["distro"],
            description=data.get("description"),
            version=data.get("version"),
            arch=data.get("arch", "x86_64"),
            packages=tuple(data.get("packages", ())),
            exclude=tuple(data.get("exclude", ())),
            repositories=self._repositories(data.get("repositories", ["default"])),
            hostname=data.get("hostname"),
            timezone=data.get("timezone"),
            timeservers=tuple(data.get("timeservers", ())),
            locale=data.get("locale"),
            keyboard=data.get("keyboard"),
            users=tuple(self._user(user, index) for index, user in enumerate(data.get("users", ()))),
            groups=tuple(model.Group(**group) for group in data.get("groups", ())),
            services=model.Services(**services),
            directories=tuple(
                model.Directory(**{**item, "path": _normal(item["path"])}) for item in data.get("directories", ())
            ),
            files=tuple(self._file(file, index) for index, file in enumerate(data.get("files", ()))),
            symlinks=tuple(
                model.Symlink(**{**item, "path": _normal(item["path"])}) for item in data.get("symlinks", ())
            ),
            scripts=tuple(data.get("scripts", ())),
            kernel=model.Kernel(**data.get("kernel", {})),
            disk=self._disk(data.get("disk", {})),
            formats=tuple(model.Format(name) for name in data.get("formats", ["qcow2"])),
            document=self.document,
        )

    def _user(self, data: Mapping[str, Any], index: int) -> model.User:
        password = data.get("password")
        if password is not None and not _HASH.fullmatch(password):
            self._wrong(
                "`password` must be a hash, not the password itself",
                ["users", index, "password"],
                "make the hash with: openssl passwd -6",
            )
        return model.User(**{key: _tuple(value) for key, value in data.items()})

    def _file(self, data: Mapping[str, Any], index: int) -> model.File:
        trail: list[Step] = ["files", index]
        fields = {key: value for key, value in data.items() if key != "source"} | {"path": _normal(data["path"])}
        if "base64" in data:
            try:
                fields["base64"] = _encode(base64.b64decode("".join(data["base64"].split()), validate=True))
            except (binascii.Error, ValueError) as error:
                self._wrong(f"`base64` cannot be decoded: {error}", [*trail, "base64"], "make it with: base64 FILE")
        elif "source" in data:
            content = self._read(data["source"], [*trail, "source"])
            try:
                fields["content"] = content.decode()
            except UnicodeDecodeError:
                fields["base64"] = _encode(content)
        return model.File(**fields)

    def _repositories(self, items: list[Any]) -> model.Repositories:
        own = []
        for index, item in enumerate(items):
            if isinstance(item, str):
                continue
            keys = tuple(
                self._key(key, ["repositories", index, "keys", number])
                for number, key in enumerate(item.get("keys", ()))
            )
            own.append(model.Repository(**{**{key: _tuple(value) for key, value in item.items()}, "keys": keys}))
        return model.Repositories(default="default" in items, own=tuple(own))

    def _key(self, key: str, trail: list[Step]) -> str:
        text = key if _ARMOUR in key else self._read(key, trail).decode(errors="replace")
        if _ARMOUR not in text:
            self._wrong(f"{key} is not an armoured public key", trail, "make one with: gpg --armor --export KEY")
        return text

    def _disk(self, data: Mapping[str, Any]) -> model.Disk:
        if "size" not in data:
            return model.Disk()
        try:
            return model.Disk(size.parse(data["size"]))
        except ValueError as error:
            self._wrong(f"`size`: {error}", ["disk", "size"])
            return model.Disk()

    def _read(self, name: str, trail: list[Step]) -> bytes:
        path = Path(self.document.file).parent / name
        try:
            if path.stat().st_size > MAX_FILE:
                self._wrong(f"{path} is larger than {MAX_FILE // 1024**2} MiB", trail, "put large content in a package")
                return b""
            return path.read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._wrong(f"cannot read {path}: {reason}", trail, "the path is relative to the blueprint's directory")
            return b""

    def _once(self, data: Mapping[str, Any], key: str, identity: str) -> None:
        seen: set[str] = set()
        for index, item in enumerate(data.get(key, ())):
            if item[identity] in seen:
                self._wrong(f"`{key}` has {item[identity]} twice", [key, index, identity])
            seen.add(item[identity])

    def _one_thing_for_a_path(self, data: Mapping[str, Any]) -> None:
        seen: dict[str, str] = {}
        for key in ("directories", "files", "symlinks"):
            for index, item in enumerate(data.get(key, ())):
                path = _normal(item["path"])
                if path in seen:
                    self._wrong(f"{path} is already in `{seen[path]}`", [key, index, "path"])
                seen.setdefault(path, key)

    def _one_state_for_a_service(self, services: Mapping[str, Any]) -> None:
        seen: dict[str, str] = {}
        for state in ("enabled", "disabled", "masked"):
            for index, name in enumerate(services.get(state, ())):
                unit = name if "." in name else f"{name}.service"
                if unit in seen:
                    self._wrong(f"{name} is already in `{seen[unit]}`", ["services", state, index])
                seen.setdefault(unit, state)

    def _wrong(self, brief: str, trail: list[Step], hint: str = "") -> None:
        self.problems.append(InputError(brief, hint=hint, location=self.document.at_value(trail)))


def _normal(path: str) -> str:
    """The absolute path without empty parts and single dots."""
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
