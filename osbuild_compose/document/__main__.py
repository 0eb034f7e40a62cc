"""`python3 -m osbuild_compose.document DIR` writes the generated pages of the reference into a directory."""

import sys
from pathlib import Path

from osbuild_compose.document import command_page, reference, stage_page

PAGES = {
    "blueprint.md": reference.page,
    "stages.md": stage_page.page,
    "command-line.md": command_page.page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(sys.argv[1]) / name).write_text(page(), encoding="utf-8")
