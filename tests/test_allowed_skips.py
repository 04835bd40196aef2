from tests.allowed_skips import unlisted


def test_prefix_allows_its_tests_only() -> None:
    skipped = ["tests/pages/test_checkout.py::test_a", "tests/pages/test_join.py::test_b", "tests/test_c.py"]
    assert unlisted(skipped, ["tests/pages/"]) == ["tests/test_c.py"]


def test_every_skip_is_unlisted_without_a_list() -> None:
    assert unlisted(["tests/test_a.py::test_b"] * 2, []) == ["tests/test_a.py::test_b"]
