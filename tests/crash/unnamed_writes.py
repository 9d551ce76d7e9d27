"""Finds transactions that change something and have no name, so that nobody could end a process at their commit."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.crash.boundaries import NAMING_CALLS

# SQLAlchemy's makers of statements, what a session is told, and SQL in text.
WRITING_CALLS = frozenset({"insert", "update", "delete", "add", "add_all"})
WRITING_WORDS = ("insert into", "update ", "delete from", "pg_notify")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def unnamed_writes(root: Path, package: str) -> list[str]:
    """`file:line` of each transaction without a name that calls something of db/ that writes."""
    writers = writing_functions(root)
    found = []
    for path in sorted((root / package).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        known = writers | _called_here(tree, writers)
        blocks = (block for block in _unnamed_blocks(tree) if _writes(block.body, known))
        found += [f"{path.relative_to(root)}:{block.lineno}" for block in blocks]
    return found


def writing_functions(root: Path) -> frozenset[str]:
    """`module.function` of every function in db/ that changes rows, itself or through another one there."""
    functions: dict[str, Function] = {}
    texts: dict[str, set[str]] = {}
    trees: dict[str, ast.Module] = {}
    for path in sorted((root / "db").glob("*.py")):
        trees[path.stem] = tree = ast.parse(path.read_text("utf-8"))
        texts[path.stem] = set(_writing_texts(tree))
        for node in tree.body:
            if isinstance(node, Function):
                functions[f"{path.stem}.{node.name}"] = node
    writers: set[str] = set()
    while True:
        called = {module: texts[module] | _called_here(tree, writers) for module, tree in trees.items()}
        more = {
            name
            for name, function in functions.items()
            if name not in writers and _changes(function, name.partition(".")[0], called, writers)
        }
        if not more:
            return frozenset(writers)
        writers |= more


def _called_here(tree: ast.Module, writers: Iterable[str]) -> set[str]:
    """What a module calls the functions that it has imported by their own names from those of db/ that write."""
    known = set(writers)
    return {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("db.")
        for name in node.names
        if f"{str(node.module).removeprefix('db.')}.{name.name}" in known
    }


def _changes(function: Function, module: str, called: dict[str, set[str]], writers: set[str]) -> bool:
    """`called`: for each module, the names there of texts and functions that write."""
    local = {name.partition(".")[2] for name in writers if name.startswith(f"{module}.")}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in called[module] | local:
            return True
        if isinstance(node, ast.Call) and _called(node) in WRITING_CALLS:
            return True
    return _writes(function.body, writers)


def _writes(body: Iterable[ast.stmt], writers: Iterable[str]) -> bool:
    known = set(writers)
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and (_dotted(node.func) in known or _is_add(node)):
                return True
    return False


def _is_add(call: ast.Call) -> bool:
    return _dotted(call.func) in {"session.add", "session.add_all", "session.delete"}


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _writing_texts(tree: ast.Module) -> Iterator[str]:
    """Names of a module's constants that hold SQL which writes."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            words = [
                one.value.lower()
                for one in ast.walk(node)
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(writing in word for word in words for writing in WRITING_WORDS):
                yield from (target.id for target in targets if isinstance(target, ast.Name))


def _unnamed_blocks(tree: ast.Module) -> Iterator[ast.AsyncWith]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith) and any(_opens_unnamed(item.context_expr) for item in node.items):
            yield node


def _opens_unnamed(opened: ast.expr) -> bool:
    return (
        isinstance(opened, ast.Call)
        and isinstance(opened.func, ast.Attribute)
        and opened.func.attr in NAMING_CALLS
        and not opened.args
    )
