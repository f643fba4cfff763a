"""Names of residents and groups: they may be anything but the municipality's, its staff's or its officials'.

Refused is a name that somebody could take for the municipality speaking. A name that only mentions it
(`Ilolan kyläyhdistys`, `Kuntalaisten ääni`) is a name like any other.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final
from uuid import UUID

from backend.db.municipalities import Catalogue, Names
from backend.errors import Refusal
from backend.rules.look_alikes import has_invisible, letters_alone, look, looks, mixes_scripts

NAME_LIMIT: Final = 60

# Each claims by itself to speak for somebody else: refused wherever it stands as a word of its own.
CLAIMS: Final = """
    admin admins administrator administrators administraattori administraattorit administratör administratören
    moderaattori moderaattorit moderaattorin moderator moderators moderatorn moderatorer moderering moderointi
    ylläpito ylläpidon ylläpitäjä ylläpitäjät ylläpitäjän pääkäyttäjä sysadmin webmaster
    virallinen viralliset virallista virallisesti officiell officiella officiellt official officially
    viranhaltija viranhaltijat virkamies virkanainen virkahenkilö viranomainen viranomaiset
    tjänsteinnehavare tjänsteman tjänstemän tjänsteperson myndighet myndigheten
    kunnanjohtaja kaupunginjohtaja pormestari apulaispormestari kommundirektör kommundirektören stadsdirektör
    stadsdirektören borgmästare borgmästaren mayor
    kunnanhallitus kaupunginhallitus kunnanvaltuusto kaupunginvaltuusto kunnanvirasto kaupungintalo kunnantalo
    kommunstyrelsen stadsstyrelsen kommunfullmäktige stadsfullmäktige kommunkansliet stadskansliet
    heitto
"""
# These do so only where a name is made of nothing else, beside the municipality's own.
OFFICES: Final = """
    kunta kunnan kaupunki kaupungin kommun kommunen kommunens stad staden stads stadens municipality city town council
    palvelu palvelut palveluista asiakaspalvelu neuvonta viestintä tiedotus tiedottaa info tuki toimisto virasto
    hallinto johto johtaja henkilöstö henkilökunta koordinaattori
    tjänst tjänster kundtjänst kundservice rådgivning kommunikation information stöd byrå förvaltning förvaltningen
    ledning direktör personal personalen koordinator
    customer service services support help helpdesk office administration staff management coordinator government
"""
_NUMBERED: Final = re.compile(r"\b\d+|\d+(?=\b|_)")  # `admin2`; digits in place of letters are seen to elsewhere
_JOINTS: Final = "of the ja och and för i in"


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(map(look, text.split()))


@dataclass(frozen=True, slots=True)
class _Known:
    """What names are held against in a municipality: how its own look, in every language."""

    municipality: frozenset[str]
    offices: frozenset[str]
    officials: tuple[tuple[UUID, tuple[str, ...]], ...]


def check_name(
    name: str, *, catalogue: Catalogue, field: str, staff: bool = False, acts_as: UUID | None = None
) -> None:
    """Raises Refusal INVALID. Who has a role (`staff`) may say so, and officials have their own names (`acts_as`)."""
    if has_invisible(name):
        raise Refusal("INVALID", field, reason="name_invisible")
    if mixes_scripts(name):
        raise Refusal("INVALID", field, reason="name_mixes_alphabets")
    known = _known(catalogue)
    for words in map(looks, _readings(name)):
        if any(_is_of(words, theirs) for id, theirs in known.officials if id != acts_as):
            raise Refusal("INVALID", field, reason="name_of_official")
        if not staff and _speaks_for_municipality(words, known):
            raise Refusal("INVALID", field, reason="name_of_municipality")


def _readings(name: str) -> list[str]:
    """A sign or a digit stands for a letter, for its own sake, or for nothing: `@dmin`, `Admin!`, `Admin 2`."""
    unmarked = letters_alone(name, but="0123456789@$")
    return [name, _NUMBERED.sub("", name), unmarked, _NUMBERED.sub("", unmarked), letters_alone(name)]


def _is_of(words: list[str], theirs: tuple[str, ...]) -> bool:
    """Whether a name has all the words of an official's, in whatever order, or written as one."""
    return len(theirs) > 1 and (set(theirs) <= set(words) or "".join(theirs) in "".join(words))


def _speaks_for_municipality(words: list[str], known: _Known) -> bool:
    squeezed, claims, offices = "".join(words), _words(CLAIMS), _words(OFFICES)
    if squeezed in claims or not claims.isdisjoint(words):
        return True
    if squeezed in known.municipality | known.offices | offices:
        return True
    if any(
        squeezed.removesuffix(each) != squeezed and _is_form(squeezed.removesuffix(each), known) for each in offices
    ):
        return True
    # What is left beside the municipality's name: nothing but offices?
    rest = [word for word in words if not _is_form(word, known)]
    if len(rest) < len(words) and "".join(rest) in known.offices:
        return True
    said = set(rest) - _words(_JOINTS)
    return bool(said) and said <= offices


def _is_form(word: str, known: _Known) -> bool:
    """Whether it is the municipality's name in some case: `Helsinki`, `Helsingin`, `Helsingfors`, `Vasas`."""
    for name in known.municipality:
        if word.startswith(name) and len(word) <= len(name) + 3:
            return True
        # Consonants of a genitive change: Turku, Turun; Lahti, Lahden.
        if word.startswith(name[: max(3, len(name) - 2)]) and word.endswith("n") and len(word) <= len(name) + 2:
            return True
    return False


def _known(catalogue: Catalogue) -> _Known:
    made: _Known | None = catalogue.made.get(_Known)
    if made is None:
        offices: list[Names] = [each.names for each in catalogue.departments.values()]
        offices += [each.titles for each in catalogue.posts.values()]
        made = catalogue.made[_Known] = _Known(
            municipality=_squeezed([catalogue.names]),
            offices=_squeezed(offices),
            officials=tuple(
                (each.id, tuple(looks(each.name))) for each in catalogue.officials.values() if each.in_office
            ),
        )
    return made


def _squeezed(names: list[Names]) -> frozenset[str]:
    return frozenset("".join(looks(text)) for each in names for text in each.values())
