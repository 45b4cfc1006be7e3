"""Credentials, blind credentials and services, made through Confidant's real API as an operator would (user type `user`)."""

import base64
import json
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_kms import KMSClient

_FORMAT = "%Y%m%dT%H%M%SZ"  # kmsauth's time stamps
Value = str | int | float | bool | None


class Confidant:
    """A Confidant server and the KMS that it trusts. `auth_key` and `blind_key` are KMS key ids or aliases."""

    def __init__(self, url: str, kms: "KMSClient", region: str, auth_key: str, auth_context: str, blind_key: str) -> None:
        self.url = url
        self.region = region
        self.auth_key = auth_key
        self.auth_context = auth_context
        self._blind_key = blind_key
        self._kms = kms
        self._http = requests.Session()
        self._http.trust_env = False

    def close(self) -> None:
        self._http.close()

    def token(self, sender: str = "operator", user_type: str = "user", seconds: int = 600) -> "tuple[str, str]":
        """User name and password of a version 2 token: HTTP basic authentication."""
        start = time.time() - 60
        span = {
            "not_before": time.strftime(_FORMAT, time.gmtime(start)),
            "not_after": time.strftime(_FORMAT, time.gmtime(start + seconds)),
        }
        context = {"from": sender, "to": self.auth_context, "user_type": user_type}
        reply = self._kms.encrypt(KeyId=self.auth_key, Plaintext=json.dumps(span).encode(), EncryptionContext=context)
        return f"2/{user_type}/{sender}", base64.b64encode(reply["CiphertextBlob"]).decode()

    def call(self, method: str, path: str, body: "dict[str, Any] | None" = None) -> "dict[str, Any]":
        """One call as an operator. Raises requests.HTTPError."""
        reply = self._http.request(method, self.url + path, json=body, auth=self.token(), timeout=240)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer

    def credential(self, pairs: "Mapping[str, Value]", prefix: str = "", enabled: bool = True, name: str = "") -> str:
        """Makes a credential, gives its id. `prefix` becomes its own `env_var_prefix`."""
        body = {
            "name": name or uuid.uuid4().hex,
            "credential_pairs": dict(pairs),
            "metadata": {"env_var_prefix": prefix} if prefix else {},
            "enabled": enabled,
        }
        return str(self.call("POST", "/v1/credentials", body)["id"])

    def blind_credential(
        self, pairs: "Mapping[str, Value]", context: "dict[str, str]", name: str = "", metadata: "dict[str, Any] | None" = None
    ) -> str:
        """Makes a credential that the server cannot read (Fernet, version 2), gives its id. `context` is the KMS encryption context."""
        from cryptography.fernet import Fernet

        key = base64.urlsafe_b64encode(os.urandom(32))
        wrapped = self._kms.encrypt(KeyId=self._blind_key, Plaintext=key, EncryptionContext=context)["CiphertextBlob"]
        body = {
            "name": name or uuid.uuid4().hex,
            "cipher_type": "fernet",
            "cipher_version": 2,
            "enabled": True,
            "credential_pairs": {self.region: Fernet(key).encrypt(json.dumps(dict(pairs)).encode()).decode()},
            "data_key": {self.region: base64.b64encode(wrapped).decode()},
            "credential_keys": sorted(pairs),
            "metadata": {**(metadata or {}), "context": {self.region: context}},
        }
        return str(self.call("POST", "/v1/blind_credentials", body)["id"])

    def service(self, name: str, credentials: "list[str]", blind: "list[str]" = [], enabled: bool = True) -> None:  # noqa: B006
        """Makes a service that may read these credentials. Both lists are sent always: leaving one out is a 500 upstream."""
        self.call("PUT", "/v1/services/" + name, {"credentials": credentials, "blind_credentials": list(blind), "enabled": enabled})
