"""Endpoints, equal to those that botocore's own rules give."""

import itertools
from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointResolutionError
from botocore.session import Session

from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.fetch.endpoints import configured, endpoint, is_region, s3_url

REGIONS = [
    "us-east-1",
    "us-west-2",
    "eu-central-1",
    "ap-southeast-7",
    "mx-central-1",
    "us-gov-west-1",
    "us-gov-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "us-isof-south-1",
    "eusc-de-east-1",
]


@pytest.fixture(scope="module")
def rules() -> dict[str, EndpointProvider]:
    loader: Any = Session().get_component("data_loader")
    partitions = loader.load_data("partitions")
    return {name: EndpointProvider(loader.load_service_model(name, "endpoint-rule-set-1"), partitions) for name in ("kms", "sts", "s3")}


@pytest.mark.parametrize(("fips", "dual"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("service", ["kms", "sts", "s3"])
def test_an_endpoint_is_that_of_botocores_rules(rules: dict[str, EndpointProvider], service: str, fips: bool, dual: bool) -> None:
    environ = {"AWS_USE_FIPS_ENDPOINT": str(fips).lower(), "AWS_USE_DUALSTACK_ENDPOINT": str(dual).upper()}
    for region in REGIONS:
        if fips and service == "s3" and region.startswith("cn-"):
            with pytest.raises(EndpointResolutionError, match="FIPS"):
                rules[service].resolve_endpoint(Bucket="plain", Region=region, UseFIPS=True)
            with pytest.raises(BadSettings, match="no FIPS endpoint"):
                s3_url(environ, region, "plain", "KEY", None)
            continue
        parameters: dict[str, Any] = {"Region": region, "UseFIPS": fips, "UseDualStack": dual}
        if service == "s3":
            for bucket in ("plain-bucket", "with.dots"):
                theirs = rules[service].resolve_endpoint(Bucket=bucket, **parameters).url
                ours = s3_url(environ, region, bucket, "KEY", None)
                assert ours == theirs + "/KEY", (region, bucket)
        else:
            assert endpoint(environ, service, region) == rules[service].resolve_endpoint(**parameters).url, region


def test_a_configured_endpoint_wins_and_can_be_ignored() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://all:1/", "AWS_ENDPOINT_URL_S3": "http://s3:2"}
    assert configured(environ, "s3") == "http://s3:2"
    assert configured(environ, "kms") == "http://all:1"
    assert s3_url(environ, "us-east-1", "bucket", "a b", "v+1") == "http://s3:2/bucket/a%20b?versionId=v%2B1"
    assert configured({**environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "s3") is None


@pytest.mark.parametrize("value", ["localhost:5000", "ftp://x", "http://user:s3cr3t@x", "http://"])
def test_an_endpoint_that_is_no_url_is_a_bad_setting(value: str) -> None:
    with pytest.raises(BadSettings, match=r"^AWS_ENDPOINT_URL_KMS is a URL") as caught:
        endpoint({"AWS_ENDPOINT_URL_KMS": value}, "kms", "us-east-1")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("region", ["", "us-east-1.evil.example", "us_east_1", "us-east-1/", "US-EAST-1", "-a", "a-", "a" * 33, "eu\n"])
def test_what_is_no_region_never_gets_into_a_host_name(region: str) -> None:
    assert not is_region(region)
    with pytest.raises(BadSettings):
        endpoint({}, "kms", region)


@pytest.mark.parametrize(("region", "fits"), [("here_1", True), ("\udcff", False), ("r\xe9gion", False)])
def test_an_endpoint_of_ones_own_has_a_region_of_any_name_that_can_be_signed(region: str, fits: bool) -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000/"}
    if fits:
        assert endpoint(environ, "kms", region) == "http://127.0.0.1:9000"
    else:
        with pytest.raises(BadSettings, match="the AWS region is not one"):
            endpoint(environ, "kms", region)
