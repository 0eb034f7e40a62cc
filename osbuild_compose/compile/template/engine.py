"""The template engine: Jinja in its sandbox, values as JSON, undefined names are errors."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader
from jinja2 import TemplateError as JinjaError
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from osbuild_compose.compile.template import bytecode_cache, filters, undefined
from osbuild_compose.compile.template.json_values import emit, plain
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import Location, TemplateError

MAX_SOURCE_LINE = 200


@dataclass(frozen=True)
class Refusal:
    """A template says that its distribution cannot do what a key of the blueprint asks."""

    key: str
    reason: str
    hint: str = ""

    @property
    def trail(self) -> tuple[str | int, ...]:
        """The way to the key: "users.0.sudo" is a key of the first user."""
        return tuple(int(step) if step.isdecimal() else step for step in self.key.split("."))


class RefusedError(Exception):
    """All that a template refused. `refusals` is not empty."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(*refusals)
        self.refusals = tuple(refusals)


# What was refused in the rendering that is going on: `refuse` is a global of an engine that many renderings share.
_refused: ContextVar[list[Refusal]] = ContextVar("refused")


Prepare = Callable[[ImmutableSandboxedEnvironment], None] | None


def render(
    name: str, directories: Sequence[Path], built_in: Path, context: Mapping[str, Any], prepare: Prepare = None
) -> str:
    """The text that template `name` makes of the context. Templates are searched for in `directories`, in their order;
    `builtin/NAME` is always the one that comes with the program, so that a template of the same name can extend it.
    `prepare` changes the environment before the template is compiled; such a template is compiled anew each time.

    Raises TemplateError with the template's line, RefusedError with all keys that the template refuses.
    """
    refused: list[Refusal] = []
    token = _refused.set(refused)
    try:
        rendered = _render(name, directories, built_in, context, prepare)
    except TemplateError:
        if not refused:  # otherwise it may follow from what was refused, and there is no telling
            raise
        rendered = ""
    finally:
        _refused.reset(token)
    if refused:
        raise RefusedError(list(dict.fromkeys(refused)))
    return rendered


def _render(
    name: str, directories: Sequence[Path], built_in: Path, context: Mapping[str, Any], prepare: Prepare
) -> str:
    if prepare:
        engine = environment(directories, built_in)
        prepare(engine)
    else:
        engine = _cached_environment(tuple(directories), built_in)
    try:
        return engine.get_template(name).render(context)
    except TemplateNotFound as error:
        wanted = str(error.message or name)
        hint = did_you_mean(wanted, engine.list_templates(["j2"]))
        where = _where(error, name) if wanted != name else None
        raise TemplateError(f"there is no template {wanted}", hint=hint, location=where) from None
    except TemplateSyntaxError as error:
        location = location_of(error.filename or error.name or name, error.lineno)
        raise TemplateError(f"template: {error.message}", location=location) from None
    except UnicodeDecodeError as error:
        where = _undecodable(engine, error.object)
        raise TemplateError("the template is not UTF-8 text", hint="save it as UTF-8", location=where) from None
    except RecursionError as error:
        hint = "the one that comes with the program is builtin/DISTRO/pipeline.yaml.j2"
        raise TemplateError("the template extends or calls itself", hint=hint, location=_where(error, name)) from None
    except (JinjaError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # A template is a program; its mistakes come out as Python's errors.
        brief, hint = undefined.explained(error, context)
        raise TemplateError(f"template: {brief}", hint=hint, location=_where(error, name)) from None


@cache
def _cached_environment(directories: tuple[Path, ...], built_in: Path) -> ImmutableSandboxedEnvironment:
    engine = environment(directories, built_in)
    engine.bytecode_cache = bytecode_cache.cache()
    return engine


def environment(directories: Sequence[Path], built_in: Path) -> ImmutableSandboxedEnvironment:
    """What templates are compiled and run in."""
    engine = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(
            [FileSystemLoader([*directories, built_in]), PrefixLoader({"builtin": FileSystemLoader(built_in)})]
        ),
        undefined=undefined.Undefined,
        finalize=emit,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,  # what blocks and macros made is marked as such and not emitted a second time
    )
    engine.globals = {"namespace": Namespace, "refuse": refuse}  # lipsum is chance, and nobody missed the others
    engine.filters["pick"] = pick
    engine.filters["defaults"] = defaults
    engine.filters["rename"] = rename
    functions = (
        filters.lines,
        filters.pairs,
        filters.json_text,
        filters.unit_word,
        filters.unit_name,
        filters.script_text,
        filters.matches,
    )
    for function in functions:
        engine.filters[function.__name__] = function
    engine.filters.pop("random")
    return engine


def refuse(key: str, reason: str, hint: str = "") -> str:
    """Note that the distribution cannot do what the blueprint's `key` ("services.masked", "users.0.sudo") asks.

    Rendering goes on, so that all that is refused is told at once, and ends with RefusedError.
    """
    _refused.get().append(Refusal(key, reason, hint))
    return ""


def pick(value: Any, *names: str) -> dict[str, Any]:
    """The fields of `value` of these names that are set: neither None nor an empty list.

    Raises KeyError for a name that the value does not have at all.
    """
    fields = plain(value)
    return {name: fields[name] for name in names if fields[name] not in (None, [])}


def rename(value: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """The mapping with some keys called otherwise: rename(ssh_keys="keys")."""
    return {names.get(key, key): item for key, item in value.items()}


def defaults(value: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """The mapping with these values where it has none of its own."""
    return {**values, **value}


def _undecodable(engine: ImmutableSandboxedEnvironment, content: bytes) -> Location | None:
    """Which of the templates it is that has this content."""
    loaders = engine.loader.loaders if isinstance(engine.loader, ChoiceLoader) else []
    directories = [path for loader in loaders if isinstance(loader, FileSystemLoader) for path in loader.searchpath]
    files = (file for directory in directories for file in sorted(Path(directory).glob("*/*.j2")))
    return next((Location(str(file)) for file in files if file.read_bytes() == content), None)


def _where(error: BaseException, name: str) -> Location:
    # Jinja rewrites tracebacks so that frames of templates carry the template's file and line.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return location_of(frames[-1].filename, frames[-1].lineno or 0) if frames else Location(name)


def location_of(file: str, line: int) -> Location:
    """That line of a template, with its text."""
    try:
        text = Path(file).read_text(encoding="utf-8").split("\n")[line - 1][:MAX_SOURCE_LINE]
    except (OSError, ValueError, IndexError):
        return Location(file, line, 1)
    indent = len(text) - len(text.lstrip())
    return Location(file, line, indent + 1, text, max(1, len(text.rstrip()) - indent))
