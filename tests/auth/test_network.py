import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.auth.network import caller_network, parse_trusted_proxies
from backend.settings import SettingsError

TRUSTED = parse_trusted_proxies(["10.0.0.0/8", "2001:db8:ffff::/48"])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "network"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        (None, "", "unknown"),
        (None, "198.51.100.7", "unknown"),
        ("", "198.51.100.7", "unknown"),
        ("/run/heitto.sock", "198.51.100.7", "unknown"),
        # who isn't trusted is not believed
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        # a trusted proxy is, for what it appended
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7,10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("2001:db8:ffff::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8:1:2::5]:4711", "2001:db8:1:2::/64"),
        # what it appended can't be read: the proxy itself is all we know
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, ", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, \x00", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, 999.1.1.1", "10.0.0.1"),
    ],
)
def test_the_caller_is_the_nearest_address_nobody_trusted_vouches_past(
    peer: str | None, forwarded_for: str, network: str
) -> None:
    assert caller_network(peer, forwarded_for, trusted=TRUSTED) == network


@given(claimed=st.text(max_size=100))
def test_a_caller_behind_a_proxy_cannot_choose_its_network(claimed: str) -> None:
    assert caller_network("10.0.0.1", f"{claimed},198.51.100.7", trusted=TRUSTED) == "198.51.100.7"


@pytest.mark.parametrize("entry", ["proxy.example", "10.0.0.1/8", ""])
def test_a_malformed_proxy_is_one_line_naming_the_setting(entry: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        parse_trusted_proxies([entry])
    assert str(refusal.value).startswith("HEITTO_TRUSTED_PROXIES: ")
    assert "\n" not in str(refusal.value)
