"""`--json` of commands that end with an error: the errors as data."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from osbuild_compose.errors import ComposeError
from osbuild_compose.report.errors import as_data


@contextmanager
def errors_as_json(wanted: bool) -> Iterator[None]:
    """While it lasts an error is printed to standard output, if wanted, before it goes on: {"success", "errors"}."""
    try:
        yield
    except ComposeError as error:
        if wanted:
            errors = [as_data(one) for one in error.each()]
            print(json.dumps({"success": False, "errors": errors}, indent=2, sort_keys=True), flush=True)
        raise
