"""Which proxy applies, and the traps of NO_PROXY."""

import pytest

from lyftlearn_entrypoint.cli.checks.proxies import route, traps
from lyftlearn_entrypoint.fetch.url import HttpError

PROXY = {"HTTPS_PROXY": "http://me:hunter2@proxy:3128", "NO_PROXY": "localhost,127.0.0.1"}


@pytest.mark.parametrize(
    ("environ", "url", "allowed", "said"),
    [
        ({}, "https://kms.example.com", True, "directly"),
        (PROXY, "https://kms.example.com", True, "through proxy:3128 (HTTPS_PROXY)"),
        (PROXY, "https://confidant.example.com", False, "directly, whatever the variables"),
        (PROXY, "http://kms.example.com", True, "directly (NO_PROXY)"),
        ({"all_proxy": "http://proxy:3128"}, "https://s3.example.com", True, "through proxy:3128 (all_proxy)"),
        ({**PROXY, "NO_PROXY": ".example.com"}, "https://kms.example.com", True, "directly (NO_PROXY)"),
        (PROXY, "http://169.254.170.2/creds", True, "directly, whatever the variables"),
    ],
)
def test_the_way_to_a_host(environ: "dict[str, str]", url: str, allowed: bool, said: str) -> None:
    assert route(environ, url, allowed) == said


def test_a_proxy_of_another_kind() -> None:
    with pytest.raises(HttpError) as caught:
        route({"https_proxy": "socks5://proxy:1080"}, "https://kms.example.com", True)
    assert caught.value.finding == "LL0713"


@pytest.mark.parametrize(
    ("environ", "codes"),
    [
        ({}, []),
        (PROXY, []),
        ({**PROXY, "https_proxy": ""}, ["LL0731"]),
        ({**PROXY, "https_proxy": "http://other:1"}, ["LL0731"]),
        ({**PROXY, "https_proxy": PROXY["HTTPS_PROXY"]}, []),
        ({"NO_PROXY": "*.example.com"}, ["LL0732"]),
        ({"NO_PROXY": "https://example.com"}, ["LL0732"]),
        ({"NO_PROXY": "example.com/path"}, ["LL0732"]),
        ({"NO_PROXY": "example.com/24"}, ["LL0732"]),
        ({"NO_PROXY": "10.0.0.0/8, fd00::/8 .example.com,[::1]:80,*"}, []),
        ({"http_proxy": "http://proxy:3128"}, ["LL0733"]),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost"}, ["LL0733"]),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "*"}, []),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "127.0.0.0/8,localhost"}, []),
    ],
)
def test_traps(environ: "dict[str, str]", codes: "list[str]") -> None:
    found = traps(environ)
    assert [trap.code for trap in found] == codes
    assert "hunter2" not in str([trap.what for trap in found])
