"""The file of login providers: read whole, or refused in one line that names variable, file and key, and no secret."""

from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey

from backend.auth.login_providers import load_login_providers
from backend.settings import SettingsError

WHOLE = """
[[provider]]
municipality = "ilola"
id = "kunta"
names = { fi = "Ilolan kunta" }
serves = "STAFF"
issuer = "https://login.example/ilola/v2.0"
client_id = "7f3c"
client_secret = "hush-hush"
redirect_uris = ["https://app.example/login", "example.app:/login", "http://127.0.0.1:5173/login"]
strength = "EMAIL"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rsa.pem").write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
    (tmp_path / "ec.pem").write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
    (tmp_path / "public.pem").write_bytes(RSAKey.generate_key(2048).as_pem(private=False))
    (tmp_path / "short.pem").write_bytes(RSAKey.generate_key(1024).as_pem(private=True))
    (tmp_path / "curve.pem").write_bytes(ECKey.generate_key("P-521").as_pem(private=True))
    (tmp_path / "secret").write_text("from-a-file\n", "utf-8")
    (tmp_path / "empty").write_text("", "utf-8")
    return tmp_path


def refused(folder: Path, text: str) -> str:
    path = folder / "providers.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as error:
        load_login_providers(path)
    told = str(error.value)
    start = f"HEITTO_LOGIN_PROVIDERS_FILE: {path}: "
    assert told.startswith(start)
    assert "\n" not in told
    assert "hush-hush" not in told
    return told.removeprefix(start)


def test_no_file_is_no_provider() -> None:
    assert load_login_providers(None).by_municipality == {}


def test_a_whole_file_is_read(folder: Path) -> None:
    path = folder / "providers.toml"
    path.write_text(WHOLE.replace('client_secret = "hush-hush"', 'client_secret_file = "secret"'), "utf-8")
    provider = load_login_providers(path).by_municipality["ilola"]["kunta"]
    assert (provider.secret, provider.highest_strength, provider.scopes) == ("from-a-file", "EMAIL", ("openid",))
    assert "from-a-file" not in repr(provider)


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('id = "kunta"', "", "provider 1, id: Field required"),
        ('id = "kunta"', 'id = "Kunta"', "provider 1, id: "),
        ('serves = "STAFF"', 'serves = "ALL"', "provider 1, serves: "),
        ('"https://login.example/ilola/v2.0"', '"http://login.example"', "provider 1, issuer: must be https"),
        ('"https://login.example/ilola/v2.0"', '"https://login.example?x"', "provider 1, issuer: must be https"),
        ('"https://login.example/ilola/v2.0"', '"file:///etc/passwd"', "provider 1, issuer: must be https"),
        ('"https://app.example/login"', '"http://app.example/login"', "provider 1, redirect_uris.0: must be https"),
        ('"https://app.example/login"', '"javascript:alert(1)"', "provider 1, redirect_uris.0: must be https"),
        ('"https://app.example/login"', '"https://app.example/#x"', "provider 1, redirect_uris.0: must be https"),
        ('strength = "EMAIL"', "", "provider 1: say what it proves"),
        ('strength = "EMAIL"', 'strength = "DEVICE"', "provider 1, strength: "),
        ('strength = "EMAIL"', 'strength = "EMAIL"\nalgorithms = ["HS256"]', "provider 1, algorithms.0: "),
        ('strength = "EMAIL"', 'strength = "EMAIL"\nalgorithms = ["none"]', "provider 1, algorithms.0: "),
        ('strength = "EMAIL"', 'strength = "EMAIL"\nalgorithms = []', "provider 1, algorithms: "),
        ('strength = "EMAIL"', 'strength = "EMAIL"\nscopes = ["profile"]', "provider 1: scopes must have openid"),
        ('strength = "EMAIL"', 'strength = "EMAIL"\nclient_secrets = 1', "provider 1, client_secrets: "),
        ('strength = "EMAIL"', 'strength = "EMAIL"\nsigned_requests = true', "provider 1: signed_requests needs"),
        ('strength = "EMAIL"', 'strength = "EMAIL"\nprivate_key_file = "rsa.pem"', "provider 1: give one of client_s"),
        ('strength = "EMAIL"', '[provider.acr]\nx = "DEVICE"', "provider 1, acr.x: "),
        ('strength = "EMAIL"', 'strength = "EMAIL"\n[provider.claims]\nperson = 7', "provider 1, claims.person: "),
        ('strength = "EMAIL"', 'strength = "EMAIL"\n[provider.roles]\nclaim = "g"', "provider 1, roles.values: "),
        (
            'strength = "EMAIL"',
            'strength = "EMAIL"\n[provider.roles]\nclaim = "g"\nvalues = {g = "RESIDENT"}',
            "provider 1, roles.values.g: ",
        ),
        ('client_secret = "hush-hush"', 'client_secret = ""', "provider 1, client_secret: "),
        ('client_secret = "hush-hush"', 'client_secret_file = "empty"', "provider 1, client_secret_file: "),
        ('client_secret = "hush-hush"', 'client_secret_file = "none"', "provider 1, client_secret_file: "),
        ('client_secret = "hush-hush"', 'private_key_file = "public.pem"', "provider 1, private_key_file: "),
        ('client_secret = "hush-hush"', 'private_key_file = "short.pem"', "provider 1, private_key_file: "),
        ('client_secret = "hush-hush"', 'private_key_file = "curve.pem"', "provider 1, private_key_file: "),
        ('client_secret = "hush-hush"', 'private_key_file = "empty"', "provider 1, private_key_file: "),
        ('client_secret = "hush-hush"', 'decryption_key_file = "none"', "provider 1, decryption_key_file: "),
        ("[[provider]]", "[provider]", "provider: "),
        ("[[provider]]", "providers = 1\n[[provider]]", "providers: Extra inputs"),
        ("[[provider]]", "[[provider", "Expected "),
    ],
)
def test_a_malformed_one_is_refused_by_name(folder: Path, was: str, becomes: str, told: str) -> None:
    assert was in WHOLE
    assert told in refused(folder, WHOLE.replace(was, becomes))


def test_roles_are_for_staff(folder: Path) -> None:
    roles = '\n[provider.roles]\nclaim = "g"\nvalues = {g = "MODERATOR"}'
    assert refused(folder, WHOLE.replace("STAFF", "RESIDENTS") + roles) == "provider 1: roles are for serves = STAFF"


def test_an_id_is_there_once_in_a_municipality(folder: Path) -> None:
    assert refused(folder, WHOLE * 2) == "provider ilola/kunta is there twice"


def test_a_municipality_has_at_most_twenty(folder: Path) -> None:
    many = "".join(WHOLE.replace('"kunta"', f'"kunta-{number}"') for number in range(21))
    assert refused(folder, many) == "ilola has more than 20 providers"


def test_what_is_missing_or_no_text_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"HEITTO_LOGIN_PROVIDERS_FILE: .*none\.toml: No such file"):
        load_login_providers(folder / "none.toml")
    (folder / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="HEITTO_LOGIN_PROVIDERS_FILE"):
        load_login_providers(folder / "binary")


def test_the_digest_changes_with_what_is_public_alone(folder: Path) -> None:
    def digest(text: str) -> str:
        path = folder / "providers.toml"
        path.write_text(text, "utf-8")
        return load_login_providers(path).digest

    assert digest(WHOLE) == digest(WHOLE.replace("hush-hush", "another"))
    assert digest(WHOLE) != digest(WHOLE.replace("Ilolan kunta", "Ilola"))
