"""A token for the API of an EKS cluster, minted here and now, for ever: what `aws eks get-token` prints, without a request.

A kubeconfig names this as its `exec` plugin, so Spark's Kubernetes client asks again whenever a token is refused: a notebook that is open
for a day still scales. A token that is written down once is dead after a quarter of an hour (docs/spark.md).
Sources: aws-iam-authenticator, "API Authorization from Outside a Cluster"; aws-cli, customizations/eks/get_token.py; client-go,
client.authentication.k8s.io/v1beta1 ExecCredential.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.fetch.credentials import Credentials

_PREFIX = "k8s-aws-v1."
# The signature's own life in seconds. The cluster takes the token for 15 minutes from its date, whatever this says.
_EXPIRES = 60
# What aws-cli says: a minute less than the cluster's 15.
LIFE = 14 * 60


def token(cluster: str, region: str, endpoint: str, credentials: "Credentials", now: float) -> str:
    """The token for a cluster, by its name. `endpoint` is that of STS in `region`, `now` in seconds since the epoch."""
    import binascii

    from lyftlearn_entrypoint.fetch.sigv4 import presign
    from lyftlearn_entrypoint.fetch.url import split

    url = split(endpoint + "/?Action=GetCallerIdentity&Version=2011-06-15")
    signed = presign(url, {"x-k8s-aws-id": cluster}, credentials, region, "sts", now, _EXPIRES)
    encoded = binascii.b2a_base64(signed.encode("ascii"), newline=False).translate(bytes.maketrans(b"+/", b"-_"))
    return _PREFIX + encoded.rstrip(b"=").decode("ascii")


def credential(cluster: str, region: str, endpoint: str, credentials: "Credentials", now: float) -> str:
    """The ExecCredential that a Kubernetes client reads from a plugin's stdout, as JSON."""
    import time

    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + LIFE))
    text = token(cluster, region, endpoint, credentials, now)
    return (
        '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{},"status":{"expirationTimestamp":"'
        + until
        + '","token":"'
        + text
        + '"}}'
    )


def command(cluster: str, region: str) -> "list[str]":
    """The words that print a credential (token.py): this Python, without the user's environment for Python."""
    import sys

    return [sys.executable, "-ISXutf8", __file__.rpartition("/")[0] + "/token.py", cluster, region]


def kubeconfig(server: str, authority: str, command: "list[str]") -> str:
    """A kubeconfig for one cluster, as JSON, which is YAML too. `authority` is its CA in base64, as DescribeCluster gives it; '' for a
    public one. `command` prints the credential. It holds no secret."""
    import _json

    def text(value: str) -> str:
        return str(_json.encode_basestring_ascii(value))

    trusted = ',"certificate-authority-data":' + text(authority) if authority else ""
    arguments = ",".join(text(word) for word in command[1:])
    return (
        '{"apiVersion":"v1","kind":"Config","current-context":"lyftlearn","preferences":{},'
        '"clusters":[{"name":"lyftlearn","cluster":{"server":' + text(server) + trusted + "}}],"
        '"contexts":[{"name":"lyftlearn","context":{"cluster":"lyftlearn","user":"lyftlearn"}}],'
        '"users":[{"name":"lyftlearn","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1beta1","command":'
        + text(command[0])
        + ',"args":['
        + arguments
        + '],"interactiveMode":"Never"}}}]}\n'
    )
