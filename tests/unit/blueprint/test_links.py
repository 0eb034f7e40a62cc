"""The pages and headings that errors refer to exist."""

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
    reported = "".join(bad_blueprints.expected(name) for name in bad_blueprints.names())
    return sorted(set(re.findall(r"(?m)^  see: (.*)$", reported)))


@pytest.mark.parametrize("reference", references())
def test_references_of_errors_exist(reference: str) -> None:
    page, _, anchor = reference.partition("#")
    assert anchor in anchors(page)


def test_headings_about_errors_are_referred_to() -> None:
    known = references()
    for page in (doc_links.COMPOSITION, doc_links.ERRORS):
        assert any(reference.startswith(page) for reference in known)
