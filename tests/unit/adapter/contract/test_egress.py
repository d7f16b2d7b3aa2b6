"""Which servers an adapter may connect to."""

from __future__ import annotations

import pytest

from adapter.contract.egress import (
    DEFAULT_EGRESS,
    Egress,
    hosts_text,
    networks_text,
    read_hosts,
    read_networks,
)

PRIVATE = Egress(denied_networks=read_networks("10.0.0.0/8, 127.0.0.0/8,::1/128,fc00::/7"))
TWO_HOSTS = Egress(read_hosts("api.example.com,*.svc.cluster.local,10.0.0.1,::1"))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_metadata_services_and_link_local_addresses_are_denied_by_default(address: str) -> None:
    problem = DEFAULT_EGRESS.address_problem(address)
    assert problem
    assert "is not allowed; DENIED_NETWORKS of the hook contains" in problem


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "192.168.1.1", "::1", "fd12::1", "93.184.216.34", "2001:db8::1"]
)
def test_other_addresses_are_allowed_by_default(address: str) -> None:
    assert DEFAULT_EGRESS.address_problem(address) is None


@pytest.mark.parametrize(
    ("egress", "host", "problem"),
    [
        pytest.param(DEFAULT_EGRESS, "example.com", None, id="any-name"),
        pytest.param(
            DEFAULT_EGRESS,
            "169.254.169.254",
            "address 169.254.169.254 is not allowed; DENIED_NETWORKS of the hook contains 169.254.0.0/16",
            id="metadata",
        ),
        pytest.param(PRIVATE, "10.1.2.3", "address 10.1.2.3 is not allowed; DENIED_NETWORKS", id="private"),
        pytest.param(PRIVATE, "::1", "address ::1 is not allowed; DENIED_NETWORKS", id="ipv6"),
        pytest.param(TWO_HOSTS, "api.example.com", None, id="equal"),
        pytest.param(TWO_HOSTS, "API.Example.COM.", None, id="case-and-dot"),
        pytest.param(TWO_HOSTS, "a.b.svc.cluster.local", None, id="below"),
        pytest.param(TWO_HOSTS, "10.0.0.1", None, id="address"),
        pytest.param(TWO_HOSTS, "::1", None, id="ipv6-address"),
        pytest.param(TWO_HOSTS, "svc.cluster.local", 'host "svc.cluster.local" is not allowed', id="not-below"),
        pytest.param(TWO_HOSTS, "xapi.example.com", 'host "xapi.example.com" is not allowed', id="suffix"),
        pytest.param(TWO_HOSTS, "evil-svc.cluster.local", 'host "evil-svc.cluster.local" is not', id="no-dot"),
        pytest.param(TWO_HOSTS, "api.example.com.evil.com", "is not allowed; add it to ALLOWED_HOSTS", id="prefix"),
    ],
)
def test_host_is_checked_before_its_name_is_resolved(egress: Egress, host: str, problem: str | None) -> None:
    found = egress.host_problem(host)
    assert found is None if problem is None else problem in str(found)


@pytest.mark.parametrize("text", ["10.0.0.0/8,fd00::/8", "none"])
def test_networks_are_written_as_they_were_read(text: str) -> None:
    assert networks_text(read_networks(text)) == text


def test_defaults_are_not_written() -> None:
    assert networks_text(DEFAULT_EGRESS.denied_networks) is None
    assert hosts_text(DEFAULT_EGRESS.allowed_hosts) is None
    assert hosts_text(read_hosts(" A.example.com, *.b.com ,")) == "a.example.com,*.b.com"


def test_none_allows_all_addresses() -> None:
    assert Egress(denied_networks=read_networks("none")).address_problem("169.254.169.254") is None


@pytest.mark.parametrize("text", ["http://h", "a b", "*", "*.", "a*.b", "h:80", "-"])
def test_invalid_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a host; write names like example.com or \*.example.com"):
        read_hosts(text)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "private", "10.0.0.0/33", "none,10.0.0.0/8"])
def test_invalid_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a network; write networks like 10.0.0.0/8, comma-separated, or none"):
        read_networks(text)


def test_network_of_ipv4_in_the_form_of_ipv6_is_refused() -> None:
    with pytest.raises(ValueError, match=r'"::ffff:10.0.0.0/104" is a network of IPv4; write 10.0.0.0/8'):
        read_networks("fc00::/7,::ffff:10.0.0.0/104")
    assert networks_text(read_networks("::ffff:0:0/96,::/64")) == "::ffff:0:0/96,::/64"
