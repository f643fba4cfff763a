"""What a text looks like, in plain letters: so that two texts that look the same are the same.

Not a spelling: `i`, `l` and `1` all become `l`, since in many typefaces a capital i is a small L. Unicode's list of
confusable characters (UTS 39) is in the library's file; it is read once, without what else the library does.
"""

import re
import unicodedata
from contextlib import suppress
from functools import cache
from importlib.resources import files
from itertools import product
from string import ascii_uppercase
from typing import Final

import orjson

# Letters of which one word has but one kind: each has many that look like Latin ones.
_SCRIPTS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "DESERET"})
# Letters, says Unicode, and nothing to see.
_BLANK: Final = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_DIGITS_AND_SIGNS: Final = str.maketrans("0123456789@$€|!¡", "olzeasgtbgaselll")
# Letters by another name, which neither Unicode's compositions nor its list of confusables lead back.
_DRAWN: Final = (
    "LATIN LETTER SMALL CAPITAL {}",
    "NEGATIVE CIRCLED LATIN CAPITAL LETTER {}",
    "NEGATIVE SQUARED LATIN CAPITAL LETTER {}",
    "REGIONAL INDICATOR SYMBOL LETTER {}",
)
_MORE: Final = (("rn", "m"), ("vv", "w"), ("i", "l"))
_WORD: Final = re.compile(r"[^\W_]+")


def has_invisible(text: str) -> bool:
    """Whether it has characters that can't be seen, or that turn the direction of writing (Unicode's Cf and Cc)."""
    return any(unicodedata.category(char) in {"Cf", "Cc", "Co", "Zl", "Zp"} or char in _BLANK for char in text)


def mixes_scripts(text: str) -> bool:
    """Whether a word is spelled with letters of several alphabets that look alike."""
    for word in _WORD.findall(unicodedata.normalize("NFKC", text)):
        kinds = {unicodedata.name(char, "").partition(" ")[0] for char in word if char.isalpha()}
        if len(kinds & _SCRIPTS) > 1:
            return True
    return False


def look(text: str) -> str:
    """What one word looks like; letters alone."""
    table, letters = _table(), unicodedata.normalize("NFKD", text)
    shown = (table.get(char, char) for char in letters if not unicodedata.category(char).startswith("M"))
    folded = "".join(shown).casefold().translate(_DIGITS_AND_SIGNS)
    for one, other in _MORE:
        folded = folded.replace(one, other)
    return "".join(char for char in folded if char.isalpha())


def letters_alone(text: str, *, but: str = "") -> str:
    """With a gap for all that is no letter, nor one of `but`: `Admin!` reads as `Admin`, though `Adm!n` does too."""
    return "".join(char if char in but or unicodedata.category(char)[0] in "LM" else " " for char in text)


def looks(text: str) -> list[str]:
    """What its words look like. A capital within a word begins another one."""
    parted = re.sub(r"(?<=[^\W\d_A-ZÅÄÖ])(?=[A-ZÅÄÖ])", " ", text)
    return [each for word in re.split(r"[\s\-‐-―_.,:;/\\+&*()\[\]{}'\"’”“]+", parted) if (each := look(word))]


@cache
def _table() -> dict[str, str]:
    """Plain letters for each character that is taken for them."""
    told = orjson.loads((files("confusable_homoglyphs") / "confusables.json").read_bytes())
    found: dict[str, str] = {}
    for char, others in told.items():
        if char.isascii() or len(char) > 1:
            continue
        plain = [other["c"] for other in others if other["c"].isascii() and other["c"].isalnum()]
        if plain:
            found[char] = min(plain, key=len)
    for name, letter in product(_DRAWN, ascii_uppercase):
        with suppress(KeyError):  # there is no small capital x
            found[unicodedata.lookup(name.format(letter))] = letter
    return found
