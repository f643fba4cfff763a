"""SQL lives in `sql/queries/*.sql` as `-- name: x` blocks with native `$1` parameters.

A block headed `-- fragment: x` is text that other blocks of any file take in by writing `{x}`: the columns of a row,
say. Everything is put together once at import, from the files alone, so no input ever becomes SQL.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

HERE: Final = Path(__file__).parent
# In a checkout sql/ stands beside backend/; in a wheel it travels inside the package.
SQL_FOLDER: Final = next(p for p in (HERE.parents[1] / "sql", HERE.parent / "sql") if p.is_dir())
_BLOCK = re.compile(r"^-- (name|fragment): (\w+)\n", re.MULTILINE)


@cache
def _blocks() -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    named: dict[str, dict[str, str]] = {}
    fragments: dict[str, str] = {}
    for path in sorted((SQL_FOLDER / "queries").glob("*.sql")):
        parts = _BLOCK.split(path.read_text("utf-8"))[1:]
        for kind, name, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            target = fragments if kind == "fragment" else named.setdefault(path.stem, {})
            if name in target:
                raise ValueError(f"{path.name}: {name} is there twice")
            target[name] = text.strip().removesuffix(";")
    return named, fragments


def fill(text: str) -> str:
    """`text` with every `{fragment}` put in its place."""
    fragments = _blocks()[1]
    while (filled := re.sub(r"\{(\w+)\}", lambda match: fragments[match[1]], text)) != text:
        text = filled
    return text


@cache
def statements(feature: str) -> Mapping[str, str]:
    """The statements of `sql/queries/<feature>.sql` by name."""
    return MappingProxyType({name: fill(text) for name, text in _blocks()[0][feature].items()})
