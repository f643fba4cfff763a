"""What people type into a search box, as a tsquery that can't go wrong."""

import re
import unicodedata

SEARCH_LIMIT = 200
_WORD = re.compile(r"\w+")


def search_words(text: str) -> str:
    """All words, each also as the beginning of a longer one; '', which finds nothing, where there are none.

    Only letters, digits and underscores get into the text, so nothing in it means anything to PostgreSQL.
    """
    words = _WORD.findall(unicodedata.normalize("NFC", text).lower())[:16]
    return " & ".join(f"{word}:*" for word in words)
