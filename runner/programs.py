"""The programs of stages and assemblers: finding them, their meta.json, and the digest of their code."""

import ast
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from runner.errors import environment_error, input_error
from runner.manifest.document import open_file
from runner.manifest.model import ModuleKind
from runner.titles import of_summary
from runner.tools import Names

LIBRARY = "stagelib"
DIRECTORIES = {ModuleKind.STAGE: "stages", ModuleKind.ASSEMBLER: "assemblers"}
# The keys that a meta.json may have. schema_2 is that of osbuild's format 2.
_META_TYPES: Mapping[str, tuple[type, str]] = {
    "title": (str, "a text"),
    "title_of_first": (str, "a text"),
    "capabilities": (list, "a list of texts"),
    "network": (bool, "true or false"),
    "tools": (dict, "an object"),
    "schema": (dict, "an object"),
    "schema_2": (dict, "an object"),
}
MAX_SIZE = 64 << 20  # bytes of a program, or its meta.json
CAPABILITY = re.compile("CAP_[A-Z_]+")
META_KEYS = (
    "summary",
    "title",
    "title_of_first",
    "description",
    "capabilities",
    "network",
    "tools",
    "schema",
    "schema_2",
)


@dataclass(frozen=True)
class Program:
    """A stage's or an assembler's program.

    capabilities are those beyond the ones that every module has; network: it may reach the network. digest covers the
    program, its meta.json and the modules of the stage library that it imports, directly or not, with
    their data. stagelib is the directory of that library, that of the program's own libdir if there is one. tools maps
    programs that the build root must have to the packages that contain them. title and title_of_first are templates of
    what its steps are called, the latter that of a pipeline's first stage; both may be empty. summary is what they are
    called without one.
    """

    kind: ModuleKind
    name: str
    path: Path
    capabilities: tuple[str, ...]
    network: bool
    schema: Mapping[str, Any]
    digest: str
    stagelib: Path
    tools: Mapping[str, Names]
    title: str = ""
    title_of_first: str = ""
    summary: str = ""


def builtin() -> Path:
    """The libdir that comes with the runner: next to it in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).resolve().parent
    installed = package / "data"
    return installed if (installed / "stages").is_dir() else package.parent


class ProgramCatalog:
    """Looks programs up in several libdirs; the first libdir that has a name wins."""

    def __init__(self, libdirs: Sequence[Path]) -> None:
        """libdirs are searched in order, the built-in one last. Raises RunnerError (input) for one without stages."""
        for libdir in libdirs:
            if not any((libdir / name).is_dir() for name in DIRECTORIES.values()):
                raise input_error(
                    f"{libdir}: not a libdir: it has neither stages/ nor assemblers/",
                    hint="--libdir takes the directory that holds `stages`, not `stages` itself",
                )
        self._libdirs = [*(path.resolve() for path in libdirs), builtin()]
        self._programs: dict[tuple[ModuleKind, str], Program] = {}

    def names(self, kind: ModuleKind) -> list[str]:
        """The names of all programs of one kind."""
        found: set[str] = set()
        for libdir in self._libdirs:
            directory = libdir / DIRECTORIES[kind]
            if directory.is_dir():
                found.update(entry.name.removesuffix(".meta.json") for entry in directory.glob("*.meta.json"))
        return sorted(found)

    def find(self, kind: ModuleKind, name: str) -> Program:
        """The program of that name. Raises RunnerError (input) if there is none, with the nearest name as a hint."""
        known = self._programs.get((kind, name))
        if known:
            return known
        for libdir in self._libdirs:
            path = libdir / DIRECTORIES[kind] / name
            if path.is_file():
                own = libdir / "stages" / LIBRARY
                program = _read(kind, name, path, own if own.is_dir() else builtin() / "stages" / LIBRARY)
                self._programs[kind, name] = program
                return program
        near = get_close_matches(name, self.names(kind), 1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(self.names(kind))}"
        raise input_error(f"there is no {kind} {name!r}", hint)


def _read(kind: ModuleKind, name: str, path: Path, stagelib: Path) -> Program:
    if not os.access(path, os.X_OK):
        raise environment_error(f"{path} is not executable", hint=f"chmod +x {path}")
    meta_path = path.with_name(f"{name}.meta.json")
    try:
        meta_bytes = _content(meta_path)
        meta = json.loads(meta_bytes)
    except FileNotFoundError:
        raise environment_error(f"{name} has no {meta_path.name} with the schema of its options") from None
    except ValueError as error:
        raise environment_error(f"{meta_path}: not JSON: {error}") from None
    except RecursionError:
        raise environment_error(f"{meta_path}: not JSON that can be read: it is nested too deeply") from None
    if not isinstance(meta, dict):
        raise environment_error(f"{meta_path}: not a JSON object")
    for key, (kind_of_value, what) in _META_TYPES.items():
        if not isinstance(meta.get(key, kind_of_value()), kind_of_value):
            raise environment_error(f"{meta_path}: {key}: must be {what}")
    if not all(isinstance(one, str) and CAPABILITY.fullmatch(one) for one in meta.get("capabilities", ())):
        raise environment_error(f"{meta_path}: capabilities: must be a list of names such as CAP_SYS_ADMIN")
    unknown = [key for key in meta if key not in META_KEYS]
    if unknown:
        raise environment_error(f"{meta_path}: unknown key {unknown[0]!r}", hint=f"known: {', '.join(META_KEYS)}")
    code = _content(path)
    digest = hashlib.sha256()
    for part in (code, meta_bytes, *_library_code(code, stagelib)):
        digest.update(hashlib.sha256(part).digest())
    return Program(
        kind=kind,
        name=name,
        path=path,
        capabilities=tuple(meta.get("capabilities", ())),
        network=bool(meta.get("network", False)),
        schema=meta.get("schema") or meta.get("schema_2") or {},
        digest=digest.hexdigest(),
        stagelib=stagelib,
        tools=meta.get("tools", {}),
        title=meta.get("title", ""),
        title_of_first=meta.get("title_of_first", ""),
        summary=of_summary(meta["summary"]) if isinstance(meta.get("summary"), str) else "",
    )


def _content(path: Path) -> bytes:
    """The content of a program or its meta.json. Raises FileNotFoundError, RunnerError (environment)."""
    try:
        with open_file(str(path)) as file:
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise environment_error(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_SIZE:
        raise environment_error(f"{path}: larger than {MAX_SIZE >> 20} MiB")
    return data


def _library_code(code: bytes, stagelib: Path) -> list[bytes]:
    """The code of each library module that `code` imports, and that those import, in a fixed order.

    With a module come the data files beside it (*.json), which it may read.
    """
    found: dict[Path, bytes] = {}
    todo = _imports(code, LIBRARY)
    while todo:
        module = todo.pop()
        file = _module_file(module, stagelib)
        if file is None or file in found:
            continue
        found[file] = file.read_bytes()
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        todo |= _imports(found[file], package)
        found |= {data: data.read_bytes() for data in file.parent.glob("*.json")}
    return [found[file] for file in sorted(found)]


@cache
def _module_file(module: str, stagelib: Path) -> Path | None:
    path = stagelib.joinpath(*module.split(".")[1:])
    for candidate in (path / "__init__.py", path.with_name(path.name + ".py")):
        if candidate.is_file():
            return candidate
    return None


def _imports(code: bytes, package: str) -> set[str]:
    """The library modules that `code`, which belongs to `package`, imports."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError):
        return set()  # not Python: it can't import the library
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] == LIBRARY}
