"""The blocks of a template and of those it extends."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import nodes
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from osbuild_compose.compile.template import engine
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import ComposeError, TemplateError, TemplatesError

_INNERMOST = re.compile(  # with the indent before it, which Jinja strips from tags only
    r"(?:(?<=\n)[ \t]+)?[{]%[-+]?\s*block\s+(\w+)\b[^%]*%[}]"
    r"(?:(?![{]%[-+]?\s*block\b).)*?[{]%[-+]?\s*endblock\b.*?%[}]",
    re.DOTALL,
)
_SUPER = re.compile(r"[{]{[-+]?\s*super\(\)\s*[-+]?}}")


@dataclass(frozen=True)
class Block:
    """A block with its text, from its begin to its end."""

    name: str
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Layer:
    """One template of a chain of templates that extend each other, with its blocks in their order."""

    template: str
    file: str
    blocks: tuple[Block, ...]
    outermost: frozenset[str] = frozenset()  # the names of those that are in no other


def layers(template: str, directories: Sequence[Path], built_in: Path) -> list[Layer]:
    """The template, the one it extends, and so on. Raises TemplateError for one that is not there or is no template."""
    environment = engine.environment(directories, built_in)
    found: list[Layer] = []
    name: str | None = template
    while name is not None and name not in {layer.template for layer in found}:
        layer, name = _layer(name, environment)
        found.append(layer)
    return found


def check(template: str, directories: Sequence[Path], built_in: Path) -> None:
    """Raise TemplateError(s) for blocks that nothing shows: those of no template that theirs extends, in none of its
    blocks. Jinja passes over them without a word.
    """
    if not any((directory / template).is_file() for directory in directories if directory != built_in):
        return
    chain = layers(template, directories, built_in)
    errors: list[ComposeError] = []
    for index, layer in enumerate(chain[:-1]):
        known = {block.name for other in chain[index + 1 :] for block in other.blocks}
        for block in layer.blocks:
            if block.name in layer.outermost - known:
                brief = f"there is no block `{block.name}` to override, so this does nothing"
                where = engine.location_of(layer.file, block.line)
                errors.append(TemplateError(brief, hint=did_you_mean(block.name, known), location=where))
    if errors:
        raise TemplatesError(errors)


def in_order(chain: Sequence[Layer]) -> dict[str, list[Block]]:
    """The definitions of each block, the one that counts first; the blocks in the order of the last template."""
    order = [block.name for layer in reversed(chain) for block in layer.blocks]
    return {
        name: [block for layer in chain for block in layer.blocks if block.name == name]
        for name in dict.fromkeys(order)
    }


def standing_alone(definitions: Sequence[Block]) -> str:
    """The text of a block that does the same in a template of its own.

    `super()` is replaced by what it stands for, and blocks inside by calls of them, which others may have overridden.
    """
    first, *others = definitions
    begin, body, end = _parts(first.text)
    while _INNERMOST.search(body):
        body = _INNERMOST.sub(lambda match: f"{{{{ self.{match[1]}() }}}}", body)
    if others and _SUPER.search(body):
        inner = _parts(standing_alone(others))[1].strip("\n")
        body = _SUPER.sub(lambda _: inner, body)
    return begin + body + end


def _parts(text: str) -> tuple[str, str, str]:
    """A block's first tag, what is in it, and its last tag."""
    begin, end = text.index("%}") + 2, text.rindex("{%")
    return text[:begin], text[begin:end], text[end:]


def _layer(name: str, environment: ImmutableSandboxedEnvironment) -> tuple[Layer, str | None]:
    assert environment.loader is not None
    try:
        text, file, _ = environment.loader.get_source(environment, name)
        parsed = environment.parse(text)
        extends = parsed.find(nodes.Extends)
        blocks = tuple(_blocks(text, file or name, environment))
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
    """Of these lines the block alone: there may be more in the first and the last one."""
    begin = re.search(rf"[{{]%[-+]?\s*block\s+{name}\b", lines[0])
    start = begin.start() if begin and lines[0][: begin.start()].strip() else 0
    text = "\n".join([lines[0][start:], *lines[1:]])
    last = len(text) - len(text.rpartition("\n")[2])
    end = re.compile(r"[{]%[-+]?\s*endblock\b.*?%[}]").search(text, last)
    return text[: end.end()] if end else text
