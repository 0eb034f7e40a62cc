"""A report as JSON; schemas/inspect.schema.json describes it."""

import json
from dataclasses import asdict

from osbuild_compose.inspecting.report import Report


def as_json(report: Report) -> str:
    """The report. Only ASCII is in it: odd characters of names are escaped, bytes that are no text as \\udcNN."""
    return json.dumps(asdict(report), indent=2, sort_keys=True) + "\n"
