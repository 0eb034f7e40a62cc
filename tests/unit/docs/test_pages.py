"""The documentation is what the program is: generated pages are up to date, links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from osbuild_compose.compile.template import template_blocks
from osbuild_compose.distro import catalog
from tests.conftest import REPO
from tools.docs.__main__ import PAGES, schema_for_editors

DOCS = sorted((REPO / "docs").rglob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (REPO / "docs/reference" / name).read_text() == PAGES[name](), "run: make docs"


def test_schema_for_editors_is_up_to_date() -> None:
    assert (REPO / "schemas/blueprint.schema.json").read_text() == schema_for_editors(), "run: make docs"


def test_the_blocks_of_templates_are_named_in_their_order() -> None:
    text = (REPO / "docs/reference/templates.md").read_text().split("Blocks, in their order:")[1].split(";")[0]
    chain = template_blocks.layers("_base/pipeline.yaml.j2", [], catalog.built_in())
    named = re.findall(r"`(\w+)`", text)
    assert named == [block for block in template_blocks.in_order(chain) if block in named]


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^(    .*|```.*?^```)$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))


def anchors(page: Path) -> set[str]:
    """The names of the page's headings, as Markdown renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [REPO / "README.md", REPO / "SECURITY.md", *DOCS], ids=lambda page: str(page.relative_to(REPO))
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_tests_on_the_page_about_security_exist() -> None:
    text = (REPO / "docs/explanation/security.md").read_text()
    named = [name.removesuffix(".py") for name in re.findall(r"`((?:tests/\S+/)?test_\w+(?:\.py)?)`", text)]
    assert len(named) > 10
    for name in named:
        assert (REPO / ("" if "/" in name else "tests/integration/attacks") / f"{name}.py").exists(), name
