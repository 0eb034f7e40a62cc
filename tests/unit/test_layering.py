"""The layers of the code, as data: which part imports which, what may print or exit, and no import cycles."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import REPO

# The three programs. None imports another: they meet in the manifest, in events, and in JSON on standard input.
TOPS = {"osbuild_compose": REPO / "osbuild_compose", "runner": REPO / "runner", "stagelib": REPO / "stages/stagelib"}

# Which packages and modules of the frontend each of them imports. "" is osbuild_compose itself, for its version.
FRONTEND: dict[str, set[str]] = {
    # The Python API: imported by nobody inside.
    "": {"blueprint", "boot", "errors", "images", "inspecting", "problem", "project", "runner_client", "version"},
    "errors": set(),
    "signals": set(),
    "version": set(),
    "data": set(),
    "user_cache": {"errors"},
    "firmware": set(),
    # A problem has a place in a document, and what is wrong with a document is a problem.
    "document": {"data", "errors", "problem"},
    "problem": {"document", "errors"},
    "distro": {"data", "document", "errors", "problem", "signals", "user_cache"},
    # A blueprint has a disk, and a disk is checked for the other keys of its blueprint.
    "blueprint": {"data", "disk", "distro", "document", "errors", "problem"},
    "disk": {"blueprint", "data", "distro", "document", "errors", "problem"},
    "compile": {"blueprint", "data", "disk", "distro", "document", "errors", "problem", "user_cache", "version"},
    "importing": {"blueprint", "document", "errors"},
    "inspecting": {"data", "errors"},
    "boot": {"errors", "firmware"},
    "report": {"errors", "problem"},
    "runner_client": {"data", "errors", "report", "signals", "user_cache"},
    "doctor": {"boot", "firmware", "runner_client"},
    "template_check": {"blueprint", "compile", "distro", "document", "errors", "project"},
    "images": {"blueprint", "compile", "errors", "report"},
    "project": {"blueprint", "boot", "compile", "data", "disk", "distro", "document", "errors", "firmware", "images"}
    | {"inspecting", "problem", "report", "runner_client", "signals"},
    "variants": {"blueprint", "errors", "images", "problem", "project"},
    "project_file": {"compile", "document", "errors", "problem"},
    "cli": {"blueprint", "boot", "compile", "data", "distro", "document", "errors", "firmware", "images", "importing"}
    | {"inspecting", "problem", "project", "project_file", "report", "runner_client", "signals", "template_check"}
    | {"doctor", "variants", "version"},
    "start": {"cli", "signals"},
    "__main__": {"start"},
}

# The same for the runner.
RUNNER: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "archiver": set(),
    "passphrases": set(),
    "signals": set(),
    "cancellation": {"errors", "signals"},
    "terminal": {"errors"},
    "events": {"errors", "terminal"},
    "manifest": {"errors"},
    "titles": set(),
    "costs": set(),
    "tools": {"errors"},
    "programs": {"errors", "manifest", "titles", "tools"},
    "steps": {"costs", "manifest", "programs", "titles"},
    "plan": {"costs", "manifest", "steps"},
    "option_checks": {"errors", "steps"},
    "sandbox": {"cancellation", "errors", "programs", "signals", "tools"},
    "store": {"errors", "sandbox", "signals", "steps", "terminal"},
    "tree": {"sandbox", "store"},
    "sources": {"errors", "events", "manifest", "passphrases", "store", "tools"},
    "machine": {"errors", "sandbox", "signals", "store", "terminal", "tools", "tree"},
    "resolve": {"errors", "manifest", "passphrases", "programs", "sandbox", "steps"},
    "build": {
        "errors",
        "manifest",
        "option_checks",
        "passphrases",
        "plan",
        "programs",
        "resolve",
        "sandbox",
        "steps",
        "store",
    },
    "failure": {"build", "errors", "manifest", "sandbox", "steps", "store"},
    "export": {"build", "errors", "store", "tree"},
    "outside": {"errors", "export"},
    "execute": {"archiver", "build", "cancellation", "errors", "events", "failure", "manifest", "sandbox", "sources"}
    | {"steps", "store", "tree"},
    "schedule": {"build", "cancellation", "errors", "execute", "steps", "store"},
    "session": {"build", "cancellation", "events", "execute", "export", "failure", "manifest", "outside", "passphrases"}
    | {"sandbox", "schedule", "sources", "steps", "store", "tree"},
    "start": {"__main__", "signals"},
    "__main__": {"build", "cancellation", "errors", "events", "manifest", "sandbox", "session", "signals", "sources"}
    | {"store", "terminal"},
}

# Which packages import a library, for those that have one place where they are dealt with.
LIBRARIES: dict[str, set[str]] = {
    "typer": {"osbuild_compose.cli"},
    "rich": {"osbuild_compose.report"},
    "jinja2": {"osbuild_compose.compile.template"},
    "markupsafe": {"osbuild_compose.compile.template"},
    "cronsim": {"osbuild_compose.blueprint.values"},
    "passlib": {"osbuild_compose.blueprint.values"},
    "pefile": {"osbuild_compose.inspecting.analysis"},
    "ruamel": {"osbuild_compose.document", "osbuild_compose.compile", "osbuild_compose.importing"},
    "jsonschema": {"osbuild_compose.document.schema", "osbuild_compose.compile.verify", "runner.option_checks"},
}

# Imports inside functions: any in cli/, so that `compose --help` is quick; elsewhere these, for the reason given.
LAZY: dict[tuple[str, str], str] = {
    ("osbuild_compose.distro.keys", "http.client"): "slow to import, and most builds fetch no key",
    ("osbuild_compose.distro.keys", "urllib.request"): "slow to import, and most builds fetch no key",
    ("osbuild_compose.blueprint.values.credentials", "passlib.hash"): "slow to import, for plain-text passwords only",
    ("osbuild_compose.blueprint.values.schedules", "cronsim"): "few blueprints have a cron job",
    ("osbuild_compose.compile.verify", "jsonschema"): "slow to import, and not needed for options known to be valid",
    ("osbuild_compose.compile.verify", "jsonschema.validators"): "as jsonschema",
    ("osbuild_compose.inspecting.analysis.bootloader", "pefile"): "not needed for an image without UEFI programs",
    ("osbuild_compose.compile.pipeline", "osbuild_compose.compile.template.tracing"): "for errors and --explain only",
    ("osbuild_compose.project", "osbuild_compose.compile.explanation"): "for --explain only",
    ("osbuild_compose", "importlib"): "signals are handled first, and this takes time to import",
    ("osbuild_compose.start", "osbuild_compose.cli"): "signals are handled first",
    ("runner.start", "runner.__main__"): "signals are handled first",
    ("osbuild_compose.project", "osbuild_compose.compile.faults"): "for failed builds only",
    ("osbuild_compose.project", "osbuild_compose.runner_client"): "not needed for checking and rendering",
    ("osbuild_compose.project", "osbuild_compose.report.events"): "as runner_client",
    ("osbuild_compose.report.progress", "osbuild_compose.report.live"): "rich is slow to import: only for a terminal",
    ("runner.option_checks", "jsonschema"): "the runner's only library: not needed when everything is cached",
}

# Modules that print or end the process: the two command lines, what handles signals, and processes that are forked.
ENTRY_POINTS = ("osbuild_compose.cli", "osbuild_compose.__main__", "runner.__main__", "runner.store.__main__")
ENTRY_POINTS += ("runner.machine.__main__",)
FORKED = {"runner.outside", "runner.sandbox.namespace", "runner.sandbox.supervisor"}  # os._exit in one of the two
SIGNALS = {"osbuild_compose.signals", "runner.signals", "runner.cancellation"}  # os._exit in a handler or after one


@dataclass(frozen=True)
class Import:
    """One import statement's name: the importing module, what it imports, and whether that happens at the top level."""

    module: str
    name: str
    is_lazy: bool
    is_typing_only: bool


@cache
def modules() -> dict[str, ast.Module]:
    """All modules by their dotted names, parsed."""
    found = {}
    for top, directory in TOPS.items():
        for path in sorted(directory.rglob("*.py")):
            parts = path.relative_to(directory).with_suffix("").parts
            found[".".join((top, *parts)).removesuffix(".__init__")] = ast.parse(path.read_bytes())
    return found


def programs() -> list[Path]:
    """The stages and assemblers."""
    return [path for kind in ("stages", "assemblers") for path in (REPO / kind).glob("org.*") if path.suffix != ".json"]


def imports_of(module: str, tree: ast.AST, is_lazy: bool = False, is_typing: bool = False) -> Iterator[Import]:
    """Every import below the node, in functions and `if TYPE_CHECKING` too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, is_lazy, is_typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield Import(module, submodule if submodule in modules() else str(node.module), is_lazy, is_typing)
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from imports_of(module, node, is_lazy or in_function, is_typing or for_types)


@cache
def imports() -> tuple[Import, ...]:
    return tuple(one for name, tree in modules().items() for one in imports_of(name, tree))


def is_within(module: str, packages: Iterable[str]) -> bool:
    """Whether the module is one of the packages or in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def part(module: str) -> str:
    """The part of the frontend or the runner that a module belongs to, as in FRONTEND and RUNNER."""
    return module.split(".")[1] if "." in module else ""


def top(module: str) -> str:
    return module.partition(".")[0]


def test_frontend_runner_and_stages_do_not_import_each_other() -> None:
    across = [one for one in imports() if top(one.name) in TOPS and top(one.name) != top(one.module)]
    assert across == []


def test_every_part_of_the_frontend_is_in_the_table() -> None:
    assert {part(module) for module in modules() if top(module) == "osbuild_compose"} == set(FRONTEND)


def test_the_frontend_imports_as_the_table_says() -> None:
    wrong = {
        (one.module, f"osbuild_compose.{part(one.name)}")
        for one in imports()
        if top(one.module) == top(one.name) == "osbuild_compose"
        and part(one.name) not in FRONTEND[part(one.module)] | {part(one.module)}
    }
    assert wrong == set()


def test_the_runner_imports_as_the_table_says() -> None:
    assert {part(module) for module in modules() if top(module) == "runner"} == set(RUNNER)
    assert {
        (one.module, one.name)
        for one in imports()
        if top(one.module) == top(one.name) == "runner"
        and part(one.name) not in RUNNER[part(one.module)] | {part(one.module)}
    } == set()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_where_the_table_says(library: str) -> None:
    assert [
        one for one in imports() if top(one.name) == library and not is_within(one.module, LIBRARIES[library])
    ] == []


def test_the_runner_and_the_stages_need_the_standard_library_only() -> None:
    wanted = {one for one in imports() if top(one.module) != "osbuild_compose"}
    wanted |= {one for path in programs() for one in imports_of(path.name, ast.parse(path.read_bytes()))}
    known = sys.stdlib_module_names | TOPS.keys()
    assert {(one.module, one.name) for one in wanted if top(one.name) not in known} == {
        ("runner.option_checks", "jsonschema")
    }


def test_lazy_imports_are_the_known_ones() -> None:
    lazy = {(one.module, one.name) for one in imports() if one.is_lazy}
    assert {one for one in lazy if not is_within(one[0], ["osbuild_compose.cli"])} == set(LAZY)


def cycles(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """The largest sets of modules that all lead to each other."""

    @cache
    def reachable(start: str) -> frozenset[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = edges[waiting.pop()] - seen
            seen |= new
            waiting += new
        return frozenset(seen)

    return {
        frozenset(other for other in reachable(module) if module in reachable(other))
        for module in list(edges)
        if module in reachable(module)
    }


def test_there_are_no_import_cycles() -> None:
    """Neither hidden in a function nor by TYPE_CHECKING."""
    edges: dict[str, set[str]] = defaultdict(set)
    for one in imports():
        if one.name in modules() and one.name != one.module:
            edges[one.module].add(one.name)
    assert cycles(edges) == set()


def test_cycles_are_found() -> None:
    edges = defaultdict(set, a={"b"}, b={"c", "d"}, c={"a"}, d={"e"}, f={"g"}, g={"f"})
    assert cycles(edges) == {frozenset("abc"), frozenset("fg")}


def prints_or_exits(tree: ast.AST) -> set[str]:
    """What in the module writes to the process's own streams or ends it; writing to a stream handed in does not."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "exit", "quit"}:
            if node.func.id != "print" or not any(keyword.arg == "file" for keyword in node.keywords):
                found.add(node.func.id)
        elif isinstance(node, ast.Name) and node.id == "SystemExit":
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if text in {"sys.exit", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "os._exit"}:
                found.add(text)
        elif isinstance(node, ast.ImportFrom) and node.module == "sys":
            found |= {alias.name for alias in node.names} & {"exit", "stdout", "stderr"}
    return found


def test_only_the_command_lines_print_and_exit() -> None:
    """The stages print: that is their log."""
    found = {
        name: what
        for name, tree in modules().items()
        if top(name) != "stagelib" and not is_within(name, ENTRY_POINTS) and (what := prints_or_exits(tree))
    }
    assert {name for name, what in found.items() if what == {"os._exit"}} == FORKED | SIGNALS
    assert set(found) == FORKED | SIGNALS
