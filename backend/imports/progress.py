"""How long work shows itself: bars on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from rich.console import Console
from rich.progress import Progress, TaskID

Report: TypeAlias = Callable[[str, int, int], None]  # what is being done, how much of it is, of how much
T = TypeVar("T")

_STEP = 2_000
_LINES = 4


def tracked(items: Iterable[T], report: Report, title: str, total: int) -> Iterator[T]:
    """The items, reported as they are taken."""
    report(title, 0, total)
    for number, item in enumerate(items, 1):
        yield item
        if number % _STEP == 0 or number == total:
            report(title, number, total)


@contextmanager
def shown(console: Console) -> Iterator[Report]:
    if not console.is_terminal:
        yield _lines(console)
        return
    with Progress(console=console) as progress:
        bars: dict[str, TaskID] = {}

        def report(title: str, done: int, total: int) -> None:
            if title not in bars:
                bars[title] = progress.add_task(title, total=total)
            progress.update(bars[title], completed=done)

        yield report


def _lines(console: Console) -> Report:
    """A line at each quarter of a piece of work."""
    reached: dict[str, int] = {}

    def report(title: str, done: int, total: int) -> None:
        quarter = _LINES * done // max(total, 1)
        if quarter > reached.get(title, 0):
            reached[title] = quarter
            console.print(f"{title}: {done:,} of {total:,}", markup=False, highlight=False)

    return report
