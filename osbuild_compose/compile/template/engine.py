"""Renders templates: Jinja in its sandbox, values as JSON, undefined names as errors."""

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, Undefined
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.loaders import split_template_path
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, missing

from osbuild_compose.compile.template import bytecode_cache, filters, limits
from osbuild_compose.document import input_file
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import Location, TemplateError
from osbuild_compose.problem import Problem

MAX_SOURCE_LINE = 200
MAX_TEMPLATE = 1024 * 1024  # bytes
MAX_REFUSED = 1000  # problems
MAX_MESSAGE = 1000  # characters


class _Undefined(StrictUndefined):
    """An undefined value that keeps the name that was looked up, and in what, for the message."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError
    ) -> None:
        super().__init__(hint, obj, name, exc)
        if exc is UndefinedError:
            self._undefined_exception = partial(_UndefinedNameError, obj, name)  # type: ignore[assignment]


class _UndefinedNameError(UndefinedError):
    def __init__(self, owner: Any, name: str | None, message: str | None) -> None:
        super().__init__(message)
        self.owner = owner
        self.name = name or ""


class RefusedError(Exception):
    """A template refused keys of the blueprint. `problems` is not empty; their `brief` is the reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)


# The refusals of the current rendering: `refuse` is a global of an environment that many renderings share.
_refused: ContextVar[list[Problem]] = ContextVar("refused")


Prepare = Callable[[ImmutableSandboxedEnvironment], None] | None


def render(
    name: str, directories: Sequence[Path], built_in: Path, context: Mapping[str, Any], prepare: Prepare = None
) -> str:
    """The text that template `name` renders from the context.

    Templates are searched for in `directories`, in their order; `builtin/NAME` is always the one that comes with the
    program, so that a template of the same name can extend it. `prepare` changes the environment before the template is
    compiled; such a template is compiled anew each time. Raises TemplateError with the line in the template,
    RefusedError with all keys that the template refuses.
    """
    refused: list[Problem] = []
    token = _refused.set(refused)
    try:
        rendered = _render(name, directories, built_in, context, prepare)
    except TemplateError:
        if not refused:  # otherwise it may be a consequence of the refusal
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
        raise TemplateError(f"there is no template {wanted[:MAX_MESSAGE]}", hint=hint, location=where) from None
    except TemplateSyntaxError as error:
        location = location_of(error.filename or error.name or name, error.lineno)
        raise TemplateError(f"template: {error.message}", location=location) from None
    except TemplateError:
        raise
    except RecursionError as error:
        hint = "the one that comes with the program is builtin/DISTRO/pipeline.yaml.j2"
        brief = "the template extends, includes or calls itself, or is nested too deeply"
        raise TemplateError(brief, hint=hint, location=_where(error, name)) from None
    except (MemoryError, limits.TimeLimitError) as error:
        raise too_large(error, _where(error, name)) from None
    except SyntaxError as error:  # of the Python code that Jinja makes: more levels than Python allows
        file = error.filename if str(error.filename).endswith(".j2") else name
        raise TemplateError(f"template: {error.msg}", location=Location(str(file))) from None
    except Exception as error:  # a template is a program: its mistakes raise Python's exceptions
        if limits.expired():
            raise too_large(limits.TimeLimitError(), _where(error, name)) from None
        brief, hint = _explained(error, context)
        raise TemplateError(f"template: {brief}", hint=hint, location=_where(error, name)) from None


def too_large(error: Exception, location: Location | None) -> TemplateError:
    """The error for a template that exceeds a limit of `limits`."""
    what = "memory" if isinstance(error, MemoryError) else "time"
    return TemplateError(f"the template takes too much {what}", hint="is there a loop in it?", location=location)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which only functions made for templates and the methods of plain data can be called."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read the attribute; those of our own classes, the most frequent, are checked fast."""
        if hasattr(type(obj), "__dataclass_fields__"):
            return not attr.startswith("_")
        return super().is_safe_attribute(obj, attr, value)

    def is_safe_callable(self, obj: Any) -> bool:
        """Whether a template may call the object. Methods of our own classes are not made for templates."""
        if isinstance(obj, Macro | BlockReference | LoopContext | Undefined):
            return super().is_safe_callable(obj)
        owner = getattr(obj, "__self__", None)
        is_plain = isinstance(owner, str | int | float | tuple | list | Mapping | LoopContext)
        return (is_plain or obj in self.globals.values()) and super().is_safe_callable(obj)


class _Loader(FileSystemLoader):
    """Finds templates in directories, and reads regular files of a bounded size only."""

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 - part of the interface
        template: str,
    ) -> tuple[str, str, Callable[[], bool]]:
        """The text, the file and whether it is unchanged. Raises TemplateNotFound, TemplateError."""
        pieces = split_template_path(template)
        for directory in self.searchpath:
            file = Path(directory, *pieces)
            if (changed := _changed(file)) is not None:
                return _text(file), str(file), partial(_is_unchanged, file, changed)
        raise TemplateNotFound(template)

    def list_templates(self) -> list[str]:
        """The names of the templates: DISTRIBUTION/FILE."""
        found = (file for directory in self.searchpath for file in Path(directory).glob("*/*.j2"))
        return sorted({f"{file.parent.name}/{file.name}" for file in found})


def _changed(file: Path) -> int | None:
    """When the file was changed last; None if there is none."""
    try:
        return file.stat().st_mtime_ns
    except (OSError, ValueError):
        return None


def _is_unchanged(file: Path, changed: int) -> bool:
    return _changed(file) == changed


def _text(file: Path) -> str:
    try:
        return input_file.text(file, MAX_TEMPLATE)
    except UnicodeDecodeError:
        hint = "save it as UTF-8"
        raise TemplateError("the template is not UTF-8 text", hint=hint, location=Location(str(file))) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TemplateError(f"cannot read the template: {reason}", location=Location(str(file))) from None


@cache
def _cached_environment(directories: tuple[Path, ...], built_in: Path) -> ImmutableSandboxedEnvironment:
    engine = environment(directories, built_in)
    engine.bytecode_cache = bytecode_cache.cache()
    return engine


def environment(directories: Sequence[Path], built_in: Path) -> ImmutableSandboxedEnvironment:
    """The environment that templates are compiled and rendered in."""
    engine = _Environment(
        loader=ChoiceLoader([_Loader([*directories, built_in]), PrefixLoader({"builtin": _Loader(built_in)})]),
        undefined=_Undefined,
        finalize=filters.emit,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,  # output of blocks and macros is marked as such, and not emitted a second time
    )
    engine.globals = {"namespace": Namespace, "refuse": refuse}  # without Jinja's own: lipsum is random
    for function in filters.FILTERS:
        engine.filters[function.__name__] = function
    engine.filters.pop("random")
    return engine


def refuse(key: str, reason: str, hint: str = "") -> str:
    """Refuse the blueprint's `key` ("services.masked", "users.0.sudo"), which the distribution cannot honour.

    Rendering continues, so that all refusals are reported at once, and ends with RefusedError.
    """
    trail = tuple(int(step) if re.fullmatch("[0-9]{1,9}", step) else step for step in str(key).split("."))
    problems = _refused.get()
    if len(problems) < MAX_REFUSED:
        problems.append(Problem(trail, str(reason)[:MAX_MESSAGE], str(hint)[:MAX_MESSAGE], at_key=True))
    return ""


def _where(error: BaseException, name: str) -> Location:
    # Jinja rewrites tracebacks: frames of templates have the file and line of the template.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return location_of(frames[-1].filename, frames[-1].lineno or 0) if frames else Location(name)


def location_of(file: str, line: int) -> Location:
    """The location of a line of a template, with its text."""
    try:
        text = input_file.text(Path(file), MAX_TEMPLATE).split("\n")[line - 1][:MAX_SOURCE_LINE]
    except (OSError, ValueError, IndexError):
        return Location(file, line, 1)
    indent = len(text) - len(text.lstrip())
    return Location(file, line, indent + 1, text, max(1, len(text.rstrip()) - indent))


def _explained(error: Exception, context: Mapping[str, Any]) -> tuple[str, str]:
    """A message for an error in a template, and a hint that lists similar names."""
    if not isinstance(error, _UndefinedNameError):
        return str(error)[:MAX_MESSAGE] or type(error).__name__, ""
    brief = re.sub(r"'[\w.]*\.(\w+ object')", r"'\1", str(error)[:MAX_MESSAGE])
    if error.owner is missing:
        return brief, did_you_mean(error.name, context)
    if is_dataclass(error.owner):
        return brief, did_you_mean(error.name, [field.name for field in fields(error.owner) if field.repr])
    return brief, did_you_mean(error.name, map(str, error.owner)) if isinstance(error.owner, Mapping) else ""
