from uuid import UUID

from backend.auth.identity import Identity, identity_key, subject_hash
from backend.settings import load_settings

ILOLA, MUULA = UUID(int=1), UUID(int=2)


def test_a_hash_is_of_one_kind_one_municipality_and_one_key() -> None:
    asked = [
        (key, municipality, kind, subject)
        for key in (b"a" * 32, b"b" * 32)
        for municipality in (ILOLA, MUULA)
        for kind in ("EMAIL", "OIDC", "PERSON")
        for subject in ("x", "y", "")
    ]
    hashes = {subject_hash(key, municipality_id=m, kind=kind, subject=s) for key, m, kind, s in asked}  # type: ignore[arg-type] # a literal, from a loop
    assert len(hashes) == len(asked)
    assert {len(each) for each in hashes} == {32}


def test_the_identity_key_outlives_a_new_secret_key_once_it_is_set() -> None:
    made = identity_key(load_settings(secret_key="s" * 32))
    assert made == identity_key(load_settings(secret_key="s" * 32))
    assert made != identity_key(load_settings(secret_key="t" * 32))
    assert identity_key(load_settings(secret_key="t" * 32, identity_key=made.decode())) == made


def test_an_identity_shows_no_address_when_it_is_printed() -> None:
    assert "aino" not in repr(Identity("EMAIL", b"h" * 32, "aino@example.fi"))
