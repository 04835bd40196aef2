from tests.allowed_skips import unlisted


def test_a_listed_beginning_covers_its_tests_and_nothing_else() -> None:
    skipped = ["tests/pages/test_checkout.py::test_a", "tests/pages/test_join.py::test_b", "tests/test_c.py"]
    assert unlisted(skipped, ["tests/pages/"]) == ["tests/test_c.py"]


def test_without_a_list_every_skip_is_unlisted() -> None:
    assert unlisted(["tests/test_a.py::test_b"] * 2, []) == ["tests/test_a.py::test_b"]
