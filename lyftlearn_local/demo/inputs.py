"""What the demo gives to the program: more than any SageMaker API takes. Secrets are drawn anew at each run."""

import secrets
from typing import Any

from sklearn.datasets import load_breast_cancer

from lyftlearn_local.confidant.admin import Confidant, Value

VARIABLES, HYPERPARAMETERS = 150, 140
_CONSENT = 4_000  # characters
_NOTES = 10_240


def _features() -> "tuple[list[str], Any]":
    data = load_breast_cancer()
    return [name.replace(" ", "_") for name in data.feature_names], data.data


def environment() -> "dict[str, str]":
    """150 variables: one of 4,000 characters, one of several lines, one with a dot in its name, one beyond ASCII, one empty."""
    names, _ = _features()
    made: dict[str, str] = {}
    for number, name in enumerate(names):
        upper = f"SCREENING_{name.upper()}"
        made[upper + "_ENABLED"] = "no" if number in (9, 19) else "yes"
        made[upper + "_UNIT"] = "mm" if "radius" in name or "perimeter" in name else "mm2" if "area" in name else "1"
        made[upper + "_SOURCE"] = f"table=screening.cells; column={name}; quote='it''s'; $HOME is not expanded"
        made[upper + "_OWNER"] = f"cells-{number % 4}@example.com"
    made["SCREENING_CONSENT_TEXT"] = ("The patient agrees. " * (_CONSENT // 20 + 1))[:_CONSENT]
    made["SCREENING_BANNER"] = "Screening\n  line two, indented\n\tline three\n"
    made["screening.region"] = "eu-central"
    made["SCREENING_GREETING"] = "Grüße, 你好, \u2028 and \U0001f44b"
    made["SCREENING_EMPTY"] = ""
    for number in range(VARIABLES - len(made)):
        made[f"SCREENING_FLAG_{number:02d}"] = "on" if number % 3 else "off"
    return made


def hyperparameters() -> "dict[str, Any]":
    """140 hyperparameters, numbers and nested JSON among them, one of 10 kB."""
    names, values = _features()
    made: dict[str, Any] = {}
    for number, name in enumerate(names):
        column = values[:, number]
        made[f"{name}.low"] = float(column.min())
        made[f"{name}.high"] = round(float(column.max()) * 0.9, 6)
        made[f"{name}.weight"] = 1 + number / 10
        made[f"{name}.kind"] = "continuous"
    made["C"] = 0.5
    made["seed"] = 7
    made["test_size"] = 0.25
    made["solver"] = {"options": {"max_iter": 500, "tol": 0.0001}, "history": [["lbfgs", None], {"tried": True}]}
    made["notes"] = ("Clipped at nine tenths of the maximum; see the review of last spring.\n" * (_NOTES // 60))[:_NOTES]
    for number in range(HYPERPARAMETERS - len(made)):
        made[f"ablation_{number:02d}"] = {"columns": names[number : number + 2], "drop": bool(number % 2)}
    return made


class Secrets:
    """Credentials in Confidant, and the variables and files that the cluster would have made of them."""

    def __init__(self, confidant: Confidant, service: str) -> None:
        database: dict[str, Value] = {
            "database_password": secrets.token_urlsafe(24) + " '\"$`\\ ü",
            "database_port": 5439,
            "database_tls": True,
            "registry_token": secrets.token_hex(200),
        }
        warehouse: dict[str, Value] = {"user": "screening", "password": secrets.token_urlsafe(24)}
        sealed: dict[str, Value] = {"phi_key": secrets.token_hex(32)}
        plain = [confidant.credential(database, name="database"), confidant.credential(warehouse, "WAREHOUSE_", name="warehouse")]
        blind = confidant.blind_credential(sealed, {"group": service}, name="phi")
        confidant.service(service, plain, [blind])
        self.injected: dict[str, str] = {}
        self.files: dict[str, bytes] = {}  # of a Secret volume: by the stored key, without a prefix
        for prefix, pairs in (("CREDENTIALS_", database), ("WAREHOUSE_", warehouse), ("CREDENTIALS_", sealed)):
            for name, value in pairs.items():
                text = value if isinstance(value, str) else str(value).lower()  # 5439, true: as JSON writes them
                self.injected[prefix + name.upper()] = text
                self.files[name] = text.encode()
