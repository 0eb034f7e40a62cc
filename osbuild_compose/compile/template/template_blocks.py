"""The blocks of a template and of the templates that it extends."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import nodes
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from osbuild_compose.compile.template import engine
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import ComposeError, Location, TemplateError, TemplatesError

_INNERMOST = re.compile(  # with the indent before it, which Jinja strips from tags only
    r"(?:(?<=\n)[ \t]+)?[{]%[-+]?\s*block\s+(\w+)\b[^%]*%[}]"
    r"(?:(?![{]%[-+]?\s*block\b).)*?[{]%[-+]?\s*endblock\b.*?%[}]",
    re.DOTALL,
)
_SUPER = re.compile(r"[{]{[-+]?\s*super\(\)\s*[-+]?}}")


@dataclass(frozen=True)
class Block:
    """A block with its text, from its first tag to its last."""

    name: str
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Layer:
    """A template in a chain of templates that extend each other, with its blocks in order."""

    template: str
    file: str
    blocks: tuple[Block, ...]
    outermost: frozenset[str] = frozenset()  # names of the blocks that are not inside another


def layers(template: str, directories: Sequence[Path], built_in: Path) -> list[Layer]:
    """The template, the one it extends, and so on. Raises TemplateError for one that is missing or not a template."""
    environment = engine.environment(directories, built_in)
    found: list[Layer] = []
    name: str | None = template
    while name is not None and name not in {layer.template for layer in found}:
        layer, name = _layer(name, environment)
        found.append(layer)
    return found


def check(template: str, directories: Sequence[Path], built_in: Path) -> None:
    """Raise TemplateError(s) for blocks that override nothing: top-level blocks that no extended template has.

    Jinja silently ignores such blocks.
    """
    if not any((directory / template).is_file() for directory in directories if directory != built_in):
        return
    chain = layers(template, directories, built_in)
    errors: list[ComposeError] = []
    for index, layer in enumerate(chain[:-1]):
        known = {block.name for other in chain[index + 1 :] for block in other.blocks}
        for block in layer.blocks:
            if block.name in layer.outermost - known:
                brief = f"there is no block `{block.name}` to override, so this one has no effect"
                where = engine.location_of(layer.file, block.line)
                errors.append(TemplateError(brief, hint=did_you_mean(block.name, known), location=where))
    if errors:
        raise TemplatesError(errors)


def in_order(chain: Sequence[Layer]) -> dict[str, list[Block]]:
    """The definitions of each block, the effective one first; the blocks are in the order of the last template."""
    order = [block.name for layer in reversed(chain) for block in layer.blocks]
    return {
        name: [block for layer in chain for block in layer.blocks if block.name == name]
        for name in dict.fromkeys(order)
    }


def standalone(definitions: Sequence[Block]) -> str:
    """The text of a block that has the same effect in a template of its own.

    `super()` is replaced by the text it stands for, and inner blocks by calls, as they may be overridden elsewhere.
    """
    first, *others = definitions
    begin, body, end = _parts(first.text)
    while _INNERMOST.search(body):
        body = _INNERMOST.sub(lambda match: f"{{{{ self.{match[1]}() }}}}", body)
    if others and _SUPER.search(body):
        inner = _parts(standalone(others))[1].strip("\n")
        body = _SUPER.sub(lambda _: inner, body)
    return begin + body + end


def _parts(text: str) -> tuple[str, str, str]:
    """The first tag of a block, its body, and its last tag."""
    begin, end = text.index("%}") + 2, text.rindex("{%")
    return text[:begin], text[begin:end], text[end:]


def _layer(name: str, environment: ImmutableSandboxedEnvironment) -> tuple[Layer, str | None]:
    assert environment.loader is not None
    try:
        text, file, _ = environment.loader.get_source(environment, name)
        parsed = environment.parse(text)
        extends = parsed.find(nodes.Extends)
        blocks = tuple(_blocks(text, file or name, environment))
    except RecursionError:
        raise TemplateError("the template is nested too deeply", location=Location(name)) from None
    except TemplateNotFound:
        hint = did_you_mean(name, environment.list_templates(["j2"]))
        raise TemplateError(f"there is no template {name}", hint=hint) from None
    except TemplateSyntaxError as error:
        location = engine.location_of(file or name, error.lineno)
        raise TemplateError(f"template: {error.message}", location=location) from None
    parent = extends.template.value if extends and isinstance(extends.template, nodes.Const) else None
    outermost = frozenset(node.name for node in parsed.body if isinstance(node, nodes.Block))
    return Layer(name, file or name, blocks, outermost), parent


def _blocks(text: str, file: str, environment: ImmutableSandboxedEnvironment) -> Iterator[Block]:
    lines = text.split("\n")
    tokens = [token for token in environment.lex(text) if token[1] != "whitespace"]
    opened: list[tuple[str, int]] = []
    found: list[Block] = []
    for number, (line, kind, _) in enumerate(tokens[:-2]):
        if kind != "block_begin":
            continue
        keyword, name = tokens[number + 1][2], tokens[number + 2][2]
        if keyword == "block":
            opened.append((name, line))
        elif keyword == "endblock" and opened:
            name, first = opened.pop()
            found.append(Block(name, file, first, _text(name, lines[first - 1 : line])))
    yield from sorted(found, key=lambda block: block.line)


def _text(name: str, lines: list[str]) -> str:
    """The block's part of these lines: the first and the last may contain more."""
    begin = re.search(rf"[{{]%[-+]?\s*block\s+{name}\b", lines[0])
    start = begin.start() if begin and lines[0][: begin.start()].strip() else 0
    text = "\n".join([lines[0][start:], *lines[1:]])
    last = len(text) - len(text.rpartition("\n")[2])
    end = re.compile(r"[{]%[-+]?\s*endblock\b.*?%[}]").search(text, last)
    return text[: end.end()] if end else text
