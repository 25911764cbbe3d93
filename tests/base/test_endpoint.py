"""Addresses of servers: one reading, and which of them are this machine or trusted."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.endpoint import parse, parse_origin, trusted_origin


@pytest.mark.parametrize(
    ("address", "url", "origin"),
    [
        ("http://host:8000/v1", "http://host:8000/v1", "http://host:8000"),
        ("HTTP://Host:8000/v1/", "http://host:8000/v1", "http://host:8000"),
        ("https://a.example.org/api/V1", "https://a.example.org/api/V1", "https://a.example.org"),
        ("https://a.example.org:443", "https://a.example.org", "https://a.example.org"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "http://[::1]:8000"),
        ("http://[0:0::1]:80", "http://[::1]", "http://[::1]"),
    ],
)
def test_an_address_has_one_spelling(address: str, url: str, origin: str) -> None:
    endpoint = parse(address)
    assert (endpoint.url, endpoint.origin) == (url, origin)


@pytest.mark.parametrize(
    "address",
    [
        *("", "host:8000/v1", "ftp://host/v1", "file:///etc/passwd", "http://", "http:///v1"),
        *("http://user:secret@host/v1", "http://localhost@host/v1", "http://localhost\\@host"),
        *("http://host/v1?key=secret", "http://host/v1#x", "http://host/v1 ", "http://ho st"),
        *(
            "http://host:0/v1",
            "http://host:65536",
            "http://host:80:80",
            "http://[::1",
            "http://[x]",
        ),
        *("http://host//evil.example.org", "http://h\u00f6st", "http://host/%2e%2e", "http://-a-"),
    ],
)
def test_what_two_readers_could_take_for_two_hosts_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|port|IPv6") as caught:
        parse(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        *(("127.0.0.1", True), ("127.8.9.10", True), ("[::1]", True), ("localhost", True)),
        *(("LocalHost", True), ("[0:0:0:0:0:0:0:1]", True)),
        *(("127.1", False), ("2130706433", False), ("0.0.0.0", False), ("[::]", False)),
        *(("localhost.example.org", False), ("127.0.0.1.example.org", False)),
        *(("10.0.0.1", False), ("[::ffff:127.0.0.1]", False), ("[fe80::1]", False)),
        *(("128.0.0.1", False), ("126.255.255.255", False), ("my-localhost", False)),
    ],
)
def test_loopback_is_judged_by_what_is_written(host: str, is_loopback: bool) -> None:
    assert parse(f"http://{host}:8000/v1").is_loopback is is_loopback


def test_trust_is_of_scheme_host_and_port() -> None:
    endpoint = parse("https://models.example.org/v1")
    assert endpoint.is_trusted(["https://models.example.org:443"])
    assert endpoint.is_trusted(["https://other.example.org", "https://MODELS.example.org"])
    for other in ("http://models.example.org", "https://models.example.org:8443"):
        assert not endpoint.is_trusted([other])
    assert not endpoint.is_trusted(["https://example.org"])
    assert not endpoint.is_trusted([])
    assert parse("http://127.0.0.1:8000/v1").is_trusted([])


def test_an_origin_has_no_path() -> None:
    assert parse_origin("https://host:8443").origin == "https://host:8443"
    with pytest.raises(ValueError, match="no path: write https://host"):
        parse_origin("https://host/v1")


HOSPITAL = "https://*.gpu.hospital.example"


def test_a_star_is_one_label_of_the_same_scheme_and_port() -> None:
    for inside in ("a", "NODE-7", "xn--bcher-kva", "a_b"):
        assert parse(f"https://{inside}.gpu.hospital.example/v1").is_trusted([HOSPITAL])
    assert parse("https://a.gpu.hospital.example:443").is_trusted([HOSPITAL])
    for outside in (
        *("https://gpu.hospital.example", "https://a.b.gpu.hospital.example"),
        *("https://agpu.hospital.example", "https://a.gpu.hospital.example.evil.org"),
        *("https://a.gpu.hospital.exampl", "https://a..gpu.hospital.example"),
        *("http://a.gpu.hospital.example", "https://a.gpu.hospital.example:8000"),
    ):
        assert not parse(outside).is_trusted([HOSPITAL]), outside
    ported = trusted_origin("HTTP://*.GPU.hospital.example:8000/")
    assert ported == "http://*.gpu.hospital.example:8000"
    assert parse("http://n1.gpu.hospital.example:8000/v1").is_trusted([ported])
    assert not parse("http://n1.gpu.hospital.example/v1").is_trusted([ported])


@pytest.mark.parametrize(
    "pattern",
    [
        *("*", "https://*", "https://*:8000", "https://*.", "*.gpu.hospital.example"),
        *("https://*.com", "https://*.example", "https://*.localhost", "https://*.co.uk"),
        *("https://*.nhs.uk", "https://*.*.hospital.example", "https://a.*.hospital.example"),
        *("https://a*.hospital.example", "https://*a.hospital.example"),
        *("http://*.0.0.1", "http://10.0.0.*", "http://*.168.1.20", "http://[*::1]"),
        *("*://a.hospital.example", "https://*.hospital.example/v1", "https://*..hospital.example"),
        *("https://u:secret@*.hospital.example", "https://*.hospital.example?key=secret"),
    ],
)
def test_a_pattern_that_could_cover_the_hosts_of_others_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"star|pattern|address|has no path") as caught:
        trusted_origin(pattern)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match=r"star|pattern|address|has no path"):
        parse("https://a.hospital.example").is_trusted([pattern])


def test_two_labels_are_enough_where_the_last_is_no_country() -> None:
    assert trusted_origin("https://*.hospital.example") == "https://*.hospital.example"
    assert trusted_origin("https://*.ward.hospital.nhs.uk") == "https://*.ward.hospital.nhs.uk"
    assert trusted_origin("https://models.example.org") == "https://models.example.org"


@given(st.from_regex(r"https?://[a-z0-9@:/\\.\[\]%?#-]{1,30}", fullmatch=True))
def test_every_reader_sees_the_same_host(address: str) -> None:
    try:
        endpoint = parse(address)
    except ValueError:
        return
    assert urlsplit(endpoint.url).hostname == endpoint.host
    sent = httpx.URL(endpoint.url)
    assert (sent.scheme, sent.host) == (endpoint.scheme, endpoint.host)
    assert parse(endpoint.url) == endpoint
