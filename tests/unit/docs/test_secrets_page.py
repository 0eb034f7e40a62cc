"""The page about secrets has all that is removed and made again, and all that differs between two installations."""

import pytest
from stagelib.packages.secrets import SECRETS

from tests.conftest import REPO
from tests.integration.popular_packages import DIFFERENT

PAGE = (REPO / "docs/explanation/secrets.md").read_text()


@pytest.mark.parametrize("name", [secret.name for secret in SECRETS])
def test_every_secret_is_on_the_page(name: str) -> None:
    assert f"\n| {name} | " in PAGE


@pytest.mark.parametrize("path", DIFFERENT)
def test_what_differs_is_on_the_page(path: str) -> None:
    assert f"`{path}`" in PAGE
