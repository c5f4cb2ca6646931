"""What a hook may reach: nothing of the node's own network, in whatever form it is written."""

from __future__ import annotations

import pytest

from actors.core.url_policy import check_addresses, parse_networks, parse_url, redirected
from actors.errors import InvalidInput

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.5",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:a00:1::",
    "2002:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        check_addresses("x.example", [address], ())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_let_through(address: str) -> None:
    check_addresses("x.example", [address], ())


def test_one_refused_address_refuses_the_name() -> None:
    with pytest.raises(InvalidInput, match=r"x\.example \(10\.0\.0\.1\) is a private address"):
        check_addresses("x.example", ["1.1.1.1", "10.0.0.1"], ())
    with pytest.raises(InvalidInput):
        check_addresses("x.example", [], ())


def test_a_network_is_let_through_by_its_own_addresses_only() -> None:
    allowed = parse_networks(["10.1.0.0/16", "::1/128"])
    check_addresses("x", ["10.1.2.3", "::1"], allowed)
    for address in ("10.2.0.1", "::ffff:10.1.2.3", "127.0.0.1"):
        with pytest.raises(InvalidInput):
            check_addresses("x", [address], allowed)
    with pytest.raises(InvalidInput):
        parse_networks(["10.1.0.1/16"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com",
        "//example.com",
        "example.com",
        "http://",
        "http:///x",
        "http://user@example.com/",
        "http://user:pw@example.com/",
        "http://@example.com/",
        "http://example.com/#f",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://1.2.3.256/",
        "http://[::1/",
        "http://[::1%25eth0]/",
        "http://exa mple.com/",
        "http://example.com\\@evil.example/",
        "http://ex\u00e4mple.com/",
        "http://example.com/\r\nx: y",
        "http://-example.com/",
        "http://example..com/",
        "http://" + "a" * 3000,
    ],
)
def test_what_readers_may_read_differently_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse_url(url)


def test_what_is_plain_is_taken() -> None:
    url = parse_url("https://Hooks.Example.com:8443/a?b=c")
    assert (url.host, url.port, url.is_address) == ("hooks.example.com", 8443, False)
    assert parse_url("http://1.2.3.4/").is_address
    assert parse_url("http://[2606:4700::1]/").host == "2606:4700::1"
    assert parse_url("http://_x.example/").port == 80


def test_a_redirect_is_judged_as_the_first_url() -> None:
    url = parse_url("https://example.com/a/b")
    onward = redirected(url, 307, "../c#f")
    assert onward is not None and onward.text == "https://example.com/c"
    assert redirected(url, 200, "/c") is redirected(url, 303, "/c") is redirected(url, 302, "")
    with pytest.raises(InvalidInput):
        redirected(url, 302, "file:///etc/passwd")
    moved = redirected(url, 302, "http://127.0.0.1/")
    assert moved is not None and moved.origin != url.origin
