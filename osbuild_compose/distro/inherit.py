"""What a distribution takes over from others: mappings are merged, everything else is replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osbuild_compose.document.reader import Document
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError

FILE = "distro.yaml"
TEMPLATE = "pipeline.yaml.j2"


@dataclass(frozen=True)
class Sources:
    """All distro.yaml by their distribution, each distribution's in the order of `directories`."""

    directories: Sequence[Path]
    documents: Mapping[str, tuple[Document, ...]]

    def own_template(self, name: str) -> str | None:
        """The template of that distribution for the template engine, if any directory has one."""
        template = f"{name}/{TEMPLATE}"
        return template if any((directory / template).is_file() for directory in self.directories) else None

    def resolved(self, name: str) -> dict[str, Any]:
        """The data of the distribution on top of what it inherits, with its `template`.

        Raises InputError for a parent or a release that is not there, and for distributions that inherit themselves.
        """
        data = self._resolved(name, 0, ())
        return {"template": f"{name}/{TEMPLATE}", **data} if isinstance(data, dict) else data

    def _resolved(self, name: str, level: int, heirs: tuple[tuple[str, int], ...]) -> Any:
        document = self.documents[name][level]
        own = document.data
        if not isinstance(own, dict) or not isinstance(parent := own.get("inherits"), str):
            return own
        # Under its own name a distribution inherits the one of the next directory, which it stands before.
        same = parent == name
        source = (parent, level + 1 if same else 0)
        if source[1] >= len(self.documents.get(parent, ())) or source in heirs:
            known = parent in self.documents
            reason = "it inherits itself" if known else f"there is no {parent}/{FILE}"
            hint = "" if known else did_you_mean(parent, self.documents)
            raise InputError(f"cannot inherit {parent}: {reason}", hint=hint, location=document.at_value(["inherits"]))
        base = self._resolved(*source, (*heirs, (name, level)))
        if not isinstance(base, dict):
            return own
        template = self.own_template(name) or base.get("template", f"{parent}/{TEMPLATE}")
        releases = own.get("releases")
        if isinstance(releases, dict) and not same:
            releases = {key: _release(document, key, item, base) for key, item in releases.items()}
            base = {key: value for key, value in base.items() if key != "releases"}
            own = {**own, "releases": releases}
        return _merge({**base, "template": template}, own)


def _release(document: Document, name: str, item: Any, base: Mapping[str, Any]) -> Any:
    if not isinstance(item, dict) or "inherits" not in item:
        return item
    known, wanted = base.get("releases", {}), item["inherits"]
    if isinstance(known, dict) and wanted in known:
        return _merge(known[wanted], item)
    place = document.at_value(["releases", name, "inherits"])
    hint = did_you_mean(str(wanted), known)
    raise InputError(
        f"cannot inherit {wanted}: the inherited distribution has no such release", hint=hint, location=place
    )


def _merge(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return {**base, **{key: _merge(base.get(key), value) for key, value in own.items()}}
