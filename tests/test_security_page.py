"""docs/security.md says what is so: every limit's number is the code's, and none is missing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

from backend import errors
from backend.realtime.allowances import ALLOWANCES, Pace
from backend.realtime.connections import MOST, Most
from backend.realtime.limiter import Rate
from backend.schema.enums import UserErrorCode
from backend.transport import answers
from backend.transport.limits import Limits

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text("utf-8")
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| `([a-z_.]+):([\w.]+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
LIMITING = re.compile(r"^(MAX_\w+|LARGEST_(PAGE|IDS)|LONGEST_TOKEN|\w+_SECONDS|\w+_LIMIT|PER_DAY)$")
MODULES = (
    "transport.answers", "transport.incoming", "transport.payload", "transport.pipeline", "transport.socket",
    "transport.stream", "auth.tokens", "schema.pages", "rules.ideas", "rules.responses", "rules.groups", "rules.names",
    "rules.search", "db.pool",
)  # fmt: skip
NO_LIMITS = {"transport.stream:HEARTBEAT_SECONDS"}


def value_of(module: str, path: str) -> object:
    value: object = import_module(f"backend.{module}")
    for name in path.split("."):
        owner = value() if value is Limits else value
        value = owner[name] if isinstance(owner, Mapping) else getattr(owner, name)
    return value


def shown(value: object) -> set[str]:
    """The ways in which the page may write it."""
    match value:
        case bool():
            raise TypeError
        case int() | float():
            number = f"{value:,.10g}"
            return {number, f"{number} s", f"{number} ms", *({f"{value // 1024} kB"} if value % 1024 == 0 else ())}
        case Pace(at_once=at_once, seconds=seconds):
            return {f"{at_once:,}, then 1 in {seconds:,.10g} s"}
        case Rate(per_minute=per_minute, burst=burst):
            return {f"{burst:,}, then {per_minute:,} a minute"}
        case Most(account=account, network=network):
            return {f"{account:,} · {network:,}"}
        case tuple() if value and isinstance(value[0], Pace):
            return {"; ".join(text for pace in value for text in shown(pace))}
        case tuple():
            return {" · ".join(f"{each:,}" for each in value)}
    raise TypeError(f"no limit: {value!r}")


@pytest.mark.parametrize(("what", "number", "module", "path", "why", "answer"), ROWS)
def test_each_number_on_the_page_is_the_codes(
    what: str, number: str, module: str, path: str, why: str, answer: str
) -> None:
    assert number in shown(value_of(module, path)), what
    assert why and answer
    codes = set(re.findall(r"`([A-Z_]+)`", answer))
    assert codes <= known_codes(), answer


def known_codes() -> set[str]:
    modules = (errors, answers)
    classes = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    requests = {each.code for each in classes if issubclass(each, errors.RequestError)}
    return requests | {code.value for code in UserErrorCode}


def test_every_limit_of_the_code_is_on_the_page() -> None:
    on_page = {f"{module}:{path}" for _, _, module, path, _, _ in ROWS}
    assert len(on_page) == len(ROWS)
    assert set(there_are()) - on_page - NO_LIMITS == set()


def there_are() -> Iterator[str]:
    yield from (f"transport.limits:Limits.{each.name}" for each in fields(Limits))
    yield from (f"realtime.connections:MOST.{kind}" for kind in MOST)
    for kind, allowance in ALLOWANCES.items():
        assert is_dataclass(allowance)
        yield from (
            f"realtime.allowances:ALLOWANCES.{kind}.{by}" for by in ("subject", "network") if asdict(allowance)[by]
        )
    yield from ("realtime.limiter:RESIDENT_RATE", "realtime.limiter:NETWORK_RATE")
    for module in MODULES:
        names = vars(import_module(f"backend.{module}"))
        own = (ROOT / f"backend/{module.replace('.', '/')}.py").read_text("utf-8")
        yield from (
            f"{module}:{name}"
            for name in names
            if LIMITING.match(name) and re.search(rf"^{name}\b.*=", own, re.MULTILINE)
        )


def test_it_says_how_many_attacks_there_are() -> None:
    from bench.hostile import ATTACKS

    assert f"sends {len(ATTACKS)} documents" in PAGE


def test_files_that_it_names_are_there() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / path).exists(), path
    for path in re.findall(r"`((?:auth|resolvers|transport|realtime|tests)/\w+\.py)`", PAGE):
        assert any((base / path).exists() for base in (ROOT, ROOT / "backend")), path
