"""What a file's META and projects say about where and when its vote was held."""

import re
from datetime import UTC, date, datetime, time
from functools import cache
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

_LANGUAGES = {"polish": "pl", "french": "fr"}  # older files write the name; newer ones the ISO 639 code
_LONGEST_SLUG = 63


@cache
def _zones() -> dict[str, str]:
    """The first zone listed of each country, which is its most populous part's, by name and code in lower case."""
    folder = files("tzdata.zoneinfo")

    def rows(name: str) -> list[list[str]]:
        lines = (folder / name).read_text("utf-8").splitlines()
        return [line.split("\t") for line in lines if not line.startswith("#")]

    zones: dict[str, str] = {}
    for code, _, zone, *_ in rows("zone.tab"):
        zones.setdefault(code.lower(), zone)
    names = {name.lower(): zones[code.lower()] for code, name in rows("iso3166.tab") if code.lower() in zones}
    return zones | names


def time_zone(meta: dict[str, str]) -> str:
    """By `country`; UTC where it names none."""
    return _zones().get(meta.get("country", "").lower(), "UTC")


def locale(meta: dict[str, str]) -> str:
    language = meta.get("language", "").lower()
    language = _LANGUAGES.get(language, language)
    return language if re.fullmatch("[a-z]{2,3}", language) else "en"


def closing_time(meta: dict[str, str], zone: str, *, now: datetime) -> datetime:
    """Noon of `date_end`, the last day of voting, or of the last day of its year where it is only a year: published
    votes carry no times of their own. `now` where it is absent or lies ahead."""
    text = meta.get("date_end", "")
    if re.fullmatch(r"\d{4}", text):
        text = f"31.12.{text}"
    try:
        day, month, year = map(int, text.split("."))
        noon = datetime.combine(date(year, month, day), time(12), ZoneInfo(zone))
    except ValueError:
        return now
    return min(noon.astimezone(UTC), now)


def slug_of(path: Path) -> str:
    """`Poland_Warszawa_2026.pb` is `poland-warszawa-2026`."""
    return re.sub("[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:_LONGEST_SLUG].strip("-")
