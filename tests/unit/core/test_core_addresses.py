"""A client's address is the peer's, or what our own proxies saw, and nothing that the client wrote."""

import pytest

from app.core.addresses import client_of, network_of

PEER = "10.9.9.9"


@pytest.mark.case("S10")
@pytest.mark.parametrize(
    ("proxy_count", "forwarded", "client"),
    [
        pytest.param(0, "6.6.6.6", PEER, id="no proxy of ours: not believed"),
        pytest.param(1, "", PEER, id="past the proxy"),
        pytest.param(1, "6.6.6.6, 1.1.1.1", "1.1.1.1", id="what the client wrote stands before"),
        pytest.param(2, "6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1", id="two proxies"),
        pytest.param(3, "6.6.6.6, 1.1.1.1", PEER, id="shorter than our proxies make it"),
        pytest.param(1, "1.1.1.1, unknown", PEER, id="unreadable"),
        pytest.param(1, "1.1.1.1, <script>", PEER, id="garbage"),
        pytest.param(1, "1.1.1.1:4711", "1.1.1.1", id="with a port"),
        pytest.param(1, '"[2001:DB8:0::1]:4711"', "2001:db8::1", id="IPv6 with a port"),
        pytest.param(1, "2001:DB8:0::1", "2001:db8::1", id="IPv6 has one spelling"),
        pytest.param(1, "::ffff:1.1.1.1", "1.1.1.1", id="IPv4 in IPv6 is the same client"),
        pytest.param(1, "fe80::1%eth0", "fe80::1", id="a zone is no other client"),
        pytest.param(-1, "6.6.6.6", PEER, id="a count that is none"),
    ],
)
def test_the_client_is_whom_our_outermost_proxy_saw(proxy_count: int, forwarded: str, client: str) -> None:
    parts = [part.strip() for part in forwarded.split(",") if part.strip()]
    assert client_of(peer=PEER, forwarded=parts, proxy_count=proxy_count) == client


def test_all_addresses_of_one_ipv6_network_are_one_client() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("testserver") == "testserver"
