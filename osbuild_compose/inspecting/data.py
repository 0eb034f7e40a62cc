"""A report as JSON; schemas/inspect.schema.json describes it."""

import json
from dataclasses import asdict

from osbuild_compose.inspecting.report import Report


def as_json(report: Report) -> str:
    """The report. Only ASCII is in it: odd characters of names are escaped, bytes that are no text as \\udcNN."""
    document = asdict(report)
    table = document["partition_table"]
    if table:
        del table["end"]
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
