#!/bin/sh
# Runs a command that fetches packages, with what only this build may know: the CA of a proxy (secret `ca`, a PEM bundle) and pip's
# settings (secret `pip`, a pip.conf). Both are mounted for the one command and stay in no layer; without them it runs as it is.
set -eu
if [ -s /run/secrets/ca ]; then
    export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca REQUESTS_CA_BUNDLE=/run/secrets/ca
fi
if [ -s /run/secrets/pip ]; then
    export PIP_CONFIG_FILE=/run/secrets/pip
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
exec "$@"
