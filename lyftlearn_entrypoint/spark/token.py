"""The `exec` plugin of the kubeconfig that a notebook's Spark gets: prints a fresh token for a cluster. token.py CLUSTER REGION

It runs each time that the Kubernetes client needs a token, with the notebook's variables, so its credentials are those of that moment.
The standard library only: a client waits for it.
"""

import posix
import sys

SECONDS = 20.0  # for credentials, all tries included


def credential(cluster: str, region: str, environ: "dict[str, str]", now: float) -> str:
    """The ExecCredential as JSON. Raises StartError where there are no credentials, or no region."""
    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.errors import BadSettings
    from lyftlearn_entrypoint.fetch.credentials import CredentialChain
    from lyftlearn_entrypoint.fetch.endpoints import endpoint
    from lyftlearn_entrypoint.fetch.http import Http
    from lyftlearn_entrypoint.spark import eks

    region = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "")
    if not region:
        raise BadSettings(
            "a token for the EKS cluster " + cluster + " needs a region", "Set LYFTLEARN_SPARK_EKS_REGION or AWS_REGION", finding="LL0903"
        )
    deadline = Deadline(SECONDS)
    chain = CredentialChain(environ, Http(environ, deadline), deadline)
    return eks.credential(cluster, region, endpoint(environ, "sts", region), chain.get(), now)


def main(arguments: "list[str]") -> int:
    """Print the credential. The client shows what stands on stderr when the code is not 0."""
    import time

    from lyftlearn_entrypoint.errors import StartError

    environ = {name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape") for name, value in posix.environ.items()}
    cluster, region = arguments
    try:
        text = credential(cluster, region, environ, time.time())
    except StartError as error:
        posix.write(2, ("lyftlearn: error: " + str(error) + " (exit " + str(error.code) + ")\n").encode("utf-8", "replace"))
        return error.code
    posix.write(1, text.encode() + b"\n")
    return 0


if __name__ == "__main__":
    # Run by its path, so that the kubeconfig holds plain words: the package lies two directories above.
    sys.path.append(__file__.rpartition("/")[0].rpartition("/")[0].rpartition("/")[0])
    sys.exit(main(sys.argv[1:]))
