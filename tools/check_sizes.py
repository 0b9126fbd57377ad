"""Refuse a module over 500 lines or a function over 60: the walls of the house style."""

import ast
import sys
from pathlib import Path

MODULE_WALL = 500
FUNCTION_WALL = 60


def oversized(path: Path) -> list[str]:
    """Return one line for each module or function of a file that is over its wall."""
    text = path.read_text(encoding="utf-8")
    lines = sum(1 for line in text.splitlines() if line.strip())
    found = [f"{path}: {lines} lines, the wall is {MODULE_WALL}"] if lines > MODULE_WALL else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            span = node.end_lineno - node.lineno + 1
            if span > FUNCTION_WALL:
                found.append(f"{path}:{node.lineno}: {node.name} has {span} lines")
    return found


if __name__ == "__main__":
    folders = [Path(name) for name in ("src", "tests", "benchmarks", "templates", "tools")]
    problems = [
        line
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        for line in oversized(path)
    ]
    sys.exit("\n".join(problems) or 0)
