"""Serves the real Confidant 7.0.0 on the address of its argument. Runs in Confidant's own virtual environment, never imported by ours.

The port is the kernel's choice; it is told on stdout as one JSON line. The server ends when its stdin ends, so it never outlives
the process that holds the other end of the pipe.

Stood in for, since the published wheel or our short list of requirements lacks them; nothing on the way of a credential:
the certificate authorities (missing from the 7.0.0 wheel), SAML login, the redirect to https, gevent (refreshes a list of IAM
roles in the background, switched off), and one name that MarkupSafe dropped in 2.1.
"""

import json
import os
import sys
import threading
import types
import warnings


def stand_in(name: str, **names: object) -> None:
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(names)
    sys.modules[name] = module


def error(name: str) -> type:
    return type(name, (Exception,), {})


def main() -> None:
    authorities = "confidant.services.certificate_authority"
    stand_in(authorities)
    stand_in(
        authorities + ".certificateauthoritybase",
        CertificateAuthorityBase=object,
        CertificateAuthorityNotFoundError=error("CertificateAuthorityNotFoundError"),
        CertificateNotReadyError=error("CertificateNotReadyError"),
    )
    stand_in(authorities + ".acmpca", ACMPrivateCertificateAuthority=object)
    stand_in(authorities + ".customca", CustomCertificateAuthority=object)
    for name in ("onelogin", "onelogin.saml2"):
        stand_in(name)
    stand_in("onelogin.saml2.auth", OneLogin_Saml2_Auth=object)
    stand_in("flask_sslify", SSLify=lambda *_, **__: None)
    stand_in("gevent", spawn=lambda *_, **__: None, spawn_later=lambda *_, **__: None)

    import markupsafe

    if not hasattr(markupsafe, "soft_unicode"):
        markupsafe.soft_unicode = markupsafe.soft_str
    warnings.simplefilter("ignore")

    from confidant.app import create_app  # makes its DynamoDB table: DYNAMODB_CREATE_TABLE
    from werkzeug.serving import make_server

    server = make_server(sys.argv[1], 0, create_app(), threaded=True)
    print(json.dumps({"port": server.socket.getsockname()[1]}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
