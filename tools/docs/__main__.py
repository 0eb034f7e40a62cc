"""`python3 -m tools.docs` writes what is generated: pages of docs/reference, and the schema for editors."""

import json
from pathlib import Path

from osbuild_compose.document.schema import schema_files
from tools.docs import blueprint_page, commands_page, inspect_page, stages_page

PAGES = {
    "blueprint.md": blueprint_page.page,
    "stages.md": stages_page.page,
    "command-line.md": commands_page.page,
    "inspect.md": inspect_page.page,
}

TOP = Path(__file__).parents[2]


def schema_for_editors() -> str:
    """schemas/blueprint.schema.json: what is valid in a blueprint file before it is merged with others."""
    return json.dumps(schema_files.published("blueprint"), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, page in PAGES.items():
        (TOP / "docs/reference" / name).write_text(page(), encoding="utf-8")
    (TOP / "schemas/blueprint.schema.json").write_text(schema_for_editors(), encoding="utf-8")
