"""Trains the screening model. Written years ago for a pod: secrets and settings are variables and mounted files."""

import hashlib
import json
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsd.defaults.env import statsd

MODEL_DIR = Path(os.environ.get("MODEL_DIR", "/opt/ml/model"))
HYPERPARAMETERS = Path(os.environ.get("HYPERPARAMETERS_PATH", "/etc/hyperparameters"))
SECRETS = Path(os.environ.get("SECRETS_PATH", "/etc/credentials"))


def mounted(directory):
    """What a ConfigMap or a Secret holds: a file per key."""
    return {path.name: path.read_text() for path in directory.iterdir() if not path.name.startswith("..")}


def fingerprint(pairs):
    """One digest over names and values: to see that two runs were given the same, without showing what."""
    digest = hashlib.sha256()
    for name, value in sorted(pairs.items()):
        digest.update(f"{name}\0{value}\0".encode())
    return {"count": len(pairs), "sha256": digest.hexdigest()}


def column(name):
    return name.replace(" ", "_")


def main():
    secrets = {name: value for name, value in os.environ.items() if name.startswith(("CREDENTIALS_", "WAREHOUSE_"))}
    settings = {name: value for name, value in os.environ.items() if name.lower().startswith("screening")}
    files = mounted(SECRETS)
    given = mounted(HYPERPARAMETERS)

    # What the team always relied on; a KeyError here is how it noticed that a pod was not set up.
    assert all(secrets[name] for name in ("CREDENTIALS_REGISTRY_TOKEN", "WAREHOUSE_PASSWORD", "CREDENTIALS_PHI_KEY"))
    assert files["phi_key"] == secrets["CREDENTIALS_PHI_KEY"]
    port = int(secrets["CREDENTIALS_DATABASE_PORT"])
    verify = json.loads(secrets["CREDENTIALS_DATABASE_TLS"])
    region = os.environ["screening.region"]  # noqa: SIM112
    consent = os.environ["SCREENING_CONSENT_TEXT"]
    banner = os.environ["SCREENING_BANNER"].splitlines()

    data = load_breast_cancer()
    names = [column(name) for name in data.feature_names]
    enabled = [os.environ[f"SCREENING_{name.upper()}_ENABLED"] == "yes" for name in names]
    low = np.array([float(given[f"{name}.low"]) for name in names])
    high = np.array([float(given[f"{name}.high"]) for name in names])
    weight = np.array([float(given[f"{name}.weight"]) for name in names]) * enabled
    solver = json.loads(given["solver"])
    size = float(given["test_size"])

    features = np.clip(data.data, low, high) * weight
    split = train_test_split(features, data.target, test_size=size, random_state=int(given["seed"]), stratify=data.target)
    train_x, test_x, train_y, test_y = split
    model = make_pipeline(StandardScaler(), LogisticRegression(C=float(given["C"]), **solver["options"]))
    with statsd.timer("screening.fit"):
        model.fit(train_x, train_y)
    scores = model.predict_proba(test_x)[:, 1]
    auc = roc_auc_score(test_y, scores)
    for correct in model.predict(test_x) == test_y:
        statsd.incr("screening.correct" if correct else "screening.wrong")
    statsd.gauge("screening.auc", auc)

    MODEL_DIR.mkdir(parents=True, exist_ok=True)
    joblib.dump({"model": model, "low": low, "high": high, "weight": weight}, MODEL_DIR / "model.joblib")
    report = {
        "secrets": fingerprint(secrets),
        "secret_files": fingerprint(files),
        "variables": fingerprint(settings),
        "hyperparameters": fingerprint(given),
        "read": {"port": port > 0, "verify": verify, "region": region, "consent": len(consent), "banner": len(banner)},
        "notes": len(given["notes"]),
        "rows": {"train": len(train_y), "test": len(test_y)},
        "auc": round(auc, 6),
        "scores": hashlib.sha256(scores.round(6).tobytes()).hexdigest(),
    }
    (MODEL_DIR / "report.json").write_text(json.dumps(report, indent=2))
    print(f"auc={auc:.4f} train_rows={len(train_y)} test_rows={len(test_y)}")


if __name__ == "__main__":
    main()
