"""Generates the reference of stages and assemblers from their meta.json."""

from osbuild_compose.compile.module_catalog import ModuleKind, Programs
from osbuild_compose.compile.module_text import section

_HEAD = """\
# Stages and assemblers

<!-- Made by `make docs` from stages/*.meta.json and assemblers/*.meta.json: change those, not this page. -->

The programs that pipelines are made of, each with its options. `compose stages show NAME` prints one section,
`compose schema stage NAME` the JSON Schema. What has osbuild's name has osbuild's options, too; `org.osbuild-compose.*`
are our own.
"""


def page() -> str:
    """The whole page in Markdown."""
    programs = Programs()
    parts = [_HEAD]
    for kind in ModuleKind:
        parts.append(f"## {kind.directory.capitalize()}\n")
        for name in programs.names(kind):
            parts += ["\n".join(section(programs.find(kind, name)))]
    return "\n".join(parts)
