"""Trains the screening model. Hyperparameters are files, one each, as a ConfigMap mounts them."""

import json
import os
from pathlib import Path

import click
import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HYPERPARAMETERS = Path(os.environ.get("HYPERPARAMETERS_PATH", "/etc/hyperparameters"))
MODEL = Path(os.environ.get("MODEL_DIR", "/opt/ml/model")) / "screening.joblib"


@click.command()
@click.option("--seed", default=7, show_default=True, help="Of the split into training and test rows.")
def main(seed):
    regularization = float((HYPERPARAMETERS / "C").read_text())
    options = json.loads((HYPERPARAMETERS / "solver").read_text())
    data = load_breast_cancer()
    train_x, test_x, train_y, test_y = train_test_split(data.data, data.target, test_size=0.3, random_state=seed, stratify=data.target)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=regularization, **options)).fit(train_x, train_y)
    auc = roc_auc_score(test_y, model.predict_proba(test_x)[:, 1])
    joblib.dump(model, MODEL)
    click.echo(f"trained: C={regularization:g} auc={auc:.3f} rows={len(train_y)}")


if __name__ == "__main__":
    main()
