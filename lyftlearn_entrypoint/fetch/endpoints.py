"""Where a service answers: partitions, FIPS, dual stack and configured endpoints.

Source: botocore 1.44 partitions.json and the endpoint rules of s3, kms and sts (tests/unit/test_endpoints.py compares hosts).
"""

from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.fetch.url import HttpError, quote, split

# Region prefix, DNS suffix, dual-stack DNS suffix. The first that fits counts.
_PARTITIONS = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("us-gov-", "amazonaws.com", "api.aws"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", "amazonaws.com", "api.aws"),
)
_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def is_region(text: str) -> bool:
    """Whether `text` can stand in a host name as a region. What a reply names is never trusted further than that."""
    return 0 < len(text) < 33 and _LABEL.issuperset(text) and text[0] != "-" and text[-1] != "-"


def configured(environ: "dict[str, str]", service: str) -> "str | None":
    """AWS_ENDPOINT_URL_<SERVICE>, else AWS_ENDPOINT_URL, without a slash at its end. Raises `BadSettings` where it is no URL."""
    if _flag(environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        return None
    for name in ("AWS_ENDPOINT_URL_" + service.upper(), "AWS_ENDPOINT_URL"):
        value = environ.get(name)
        if value:
            try:
                split(value)
            except HttpError as error:
                raise BadSettings(name + " is " + str(error), "Give http://host:port or https://host", finding="LL0406") from None
            return value.rstrip("/")
    return None


def endpoint(environ: "dict[str, str]", service: str, region: str) -> str:
    """The URL, without a slash at its end, of `kms`, `sts` or `s3` in `region`."""
    own = configured(environ, service)
    if own is not None and region.isascii():  # it is signed for a region of any name
        return own
    if not is_region(region):
        raise BadSettings(
            "the AWS region is not one: only lower-case letters, digits and - may stand in it", "Correct AWS_REGION", finding="LL0407"
        )
    _, suffix, dual_suffix = next(entry for entry in _PARTITIONS if region.startswith(entry[0]))
    fips, dual = _flag(environ, "AWS_USE_FIPS_ENDPOINT"), _flag(environ, "AWS_USE_DUALSTACK_ENDPOINT")
    if fips and service == "s3" and region.startswith("cn-"):
        raise BadSettings("S3 has no FIPS endpoint in " + region, "Unset AWS_USE_FIPS_ENDPOINT", finding="LL0408")
    # STS in GovCloud is FIPS under its plain name (endpoint rules of sts).
    plain = not fips or (service == "sts" and region.startswith("us-gov-") and not dual)
    name = service if plain else service + "-fips"
    if dual and service == "s3":
        name += ".dualstack"
    return "https://" + name + "." + region + "." + (dual_suffix if dual and service != "s3" else suffix)


def s3_url(environ: "dict[str, str]", region: str, bucket: str, key: str, version_id: "str | None") -> str:
    """The URL of an object: the bucket in the host name on AWS's own endpoints where its name allows, else in the path."""
    base = endpoint(environ, "s3", region)
    path = "/" + quote(key, b"/")
    if configured(environ, "s3") is None and _virtual(bucket):
        scheme, _, host = base.partition("://")
        base = scheme + "://" + bucket + "." + host
    else:
        path = "/" + quote(bucket) + path
    return base + path + ("?versionId=" + quote(version_id) if version_id else "")


def _virtual(bucket: str) -> bool:
    """A name with a dot would not match the certificate's wildcard."""
    return 3 <= len(bucket) <= 63 and _LABEL.issuperset(bucket) and bucket[0] != "-" and bucket[-1] != "-"


def _flag(environ: "dict[str, str]", name: str) -> bool:
    return environ.get(name, "").lower() == "true"
