"""`docs/api.md` lists exactly the routes and problems that exist."""

import re
from pathlib import Path

from api.http.problems import Kind, example
from tests.api.route_table import API, PAGES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text()


def test_every_route_is_documented() -> None:
    assert set(re.findall(r"`(DELETE|GET|PATCH|POST|PUT) (/[^` ]*)`", PAGE.partition("### ")[0])) == set(API)


def test_every_page_is_documented() -> None:
    listed = re.findall(r"`(GET|POST) (/[^` ]*)`", (DOCS / "pages.md").read_text().partition("\n## ")[0])
    assert set(listed) == set(PAGES)


def test_every_problem_is_documented_with_its_members() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert {(slug, status) for slug, status, _ in listed} == {(kind.slug, str(kind.status)) for kind in Kind}
    for slug, _, sentence in listed:
        (kind,) = (kind for kind in Kind if kind.slug == slug)
        members = set(example(kind)) - {"type", "title", "status", "detail", "request_id"}
        assert members <= set(re.findall("`(.*?)`", sentence)), slug
