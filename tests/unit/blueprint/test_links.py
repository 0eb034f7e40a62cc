"""What errors say to see is there."""

import re

import pytest

from osbuild_compose.document import doc_links
from osbuild_compose.document.schema import schema_files
from tests import bad_blueprints
from tests.conftest import REPO


def anchors(page: str) -> list[str]:
    """The headings as links have them: lower case, dashes for spaces, no other signs."""
    text = re.sub(r"(?m)^```.*?^```", "", (REPO / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_every_key_of_a_blueprint_has_a_heading() -> None:
    found = anchors(doc_links.BLUEPRINT)
    for key in schema_files.load("blueprint")["properties"]:
        assert doc_links.key_page([key, 0]) == f"{doc_links.BLUEPRINT}#{key}"
        assert key in found
    assert "keys" in found


def references() -> list[str]:
    told = "".join(bad_blueprints.expected(name) for name in bad_blueprints.names())
    return sorted(set(re.findall(r"(?m)^  see: (.*)$", told)))


@pytest.mark.parametrize("reference", references())
def test_what_errors_refer_to_is_there(reference: str) -> None:
    page, _, anchor = reference.partition("#")
    assert anchor in anchors(page)


def test_the_documentation_is_not_alone_with_its_headings() -> None:
    known = references()
    for page in (doc_links.COMPOSITION, doc_links.ERRORS):
        assert any(reference.startswith(page) for reference in known)
