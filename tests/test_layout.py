"""What tests share is in plain modules, so that no test module runs another one's tests or fixtures."""

import ast

from sandbox.stack.environment import PROJECT_ROOT


def test_no_test_module_imports_another() -> None:
    found = [
        f"{path.relative_to(PROJECT_ROOT)}: {node.module}"
        for path in sorted((PROJECT_ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[-1].startswith("test_")
    ]
    assert found == []
