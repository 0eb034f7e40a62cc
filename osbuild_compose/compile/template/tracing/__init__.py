"""Renders a template while recording where each part of its output comes from.

The one door to this package: `render`, and the types of what it returns.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osbuild_compose.compile.template import engine
from osbuild_compose.compile.template.tracing import marking
from osbuild_compose.compile.template.tracing.origins import Origin, Origins
from osbuild_compose.compile.template.tracing.recorder import recorded_context
from osbuild_compose.compile.template.tracing.tracer import Site, Tracer

__all__ = ["Origin", "Origins", "Site", "render"]


def render(name: str, directories: Sequence[Path], built_in: Path, context: Mapping[str, Any]) -> Origins:
    """The text that engine.render returns, with the origin of each part. Raises as engine.render does."""
    tracer = Tracer()
    seen = recorded_context(context, tracer.read)
    text = engine.render(
        name, directories, built_in, seen, prepare=lambda environment: marking.attach(tracer, environment)
    )
    return Origins.from_output(text, tracer)
