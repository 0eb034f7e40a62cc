"""A package to be installed, as its control archive describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from stagelib.apt import control, preinst
from stagelib.apt.deb import ControlFile
from stagelib.apt.resolve import Archive


@dataclass(frozen=True)
class Package:
    """An archive and its control files; two are the same when they are the same archive."""

    archive: Archive
    files: Mapping[str, ControlFile]

    @cached_property
    def stanza(self) -> control.Stanza:
        """The fields of its control file."""
        return control.parse(self.text("control"))

    @property
    def name(self) -> str:
        """The package's name."""
        return self.stanza["Package"]

    @property
    def info_name(self) -> str:
        """How its files in dpkg's info directory begin."""
        if self.stanza.get("Multi-Arch") == "same":
            return f"{self.name}:{self.stanza['Architecture']}"
        return self.name

    @property
    def essential(self) -> bool:
        """Whether the system must always have it."""
        return self.stanza.get("Essential") == "yes"

    @property
    def conffiles(self) -> list[str]:
        """Paths of its configuration files, in the order of its list."""
        return [line.strip() for line in self.text("conffiles").splitlines() if line.strip()]

    @property
    def reason_for_dpkg(self) -> str:
        """Why dpkg must unpack it, "" when its files may be put in the tree by others."""
        script = self.files.get("preinst")
        if script and not preinst.idle(script.data.decode("utf-8", "replace")):
            return "its preinst acts"
        if "md5sums" not in self.files:
            return "it has no md5sums"  # dpkg then makes them while unpacking
        if any(not path.startswith("/") for path in self.conffiles):
            return "it has conffiles with flags"
        return ""

    def text(self, name: str) -> str:
        """A control file as text, "" when the package has none of that name."""
        return self.files[name].data.decode("utf-8", "surrogateescape") if name in self.files else ""

    def __hash__(self) -> int:
        return hash(self.archive)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Package) and self.archive == other.archive
