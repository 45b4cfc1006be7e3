"""Starts that the hot list (images/NAME/hot.txt) is not made from, and judged by: other programs of the same kind as those of the table.

Each is held to the budget of one that the list is made from, and may be 15 % over it.
"""

from __future__ import annotations

from dataclasses import replace

from lyftlearn_entrypoint.cli.footprint import programs
from lyftlearn_entrypoint.cli.footprint.starts import STARTS, STUDIO_USER, Start, answers, script, training

_DATA = "import numpy as np; x = np.random.default_rng(0).normal(size=(200, 5)); y = x[:, 0] > 0"
_FOREST = (
    f"{_DATA}; from sklearn.ensemble import RandomForestClassifier as C; from sklearn.pipeline import make_pipeline as p; "
    "from sklearn.preprocessing import StandardScaler as S; print(p(S(), C(n_estimators=10)).fit(x, y).score(x, y))"
)
_CLUSTER = f"{_DATA}; from sklearn.cluster import KMeans; from sklearn.decomposition import PCA; KMeans(3).fit(PCA(2).fit_transform(x))"
_BOOST = f"{_DATA}; import xgboost; xgboost.XGBClassifier(n_estimators=3).fit(x, y)"
_PARQUET = (
    'import pandas as pd; d = pd.DataFrame({"a": [1, 2, 1], "b": [1.0, 2.0, 3.0]}); d.to_parquet("/tmp/a.parquet"); '
    'print(pd.read_parquet("/tmp/a.parquet").groupby("a").mean())'
)
_NOTEBOOK = """\
import nbclient, nbformat
cell = nbformat.v4.new_code_cell("import pandas as pd, matplotlib.pyplot as plt\\nplt.plot(pd.Series([1, 2, 4]))")
book = nbformat.v4.new_notebook(cells=[cell])
nbclient.NotebookClient(book, timeout=800, kernel_name="python3").execute()
assert cell.outputs
"""
_ASKED = ("api/status", "api/me", "api/contents", "api/kernelspecs", "api/sessions", "api/terminals")


def _judged(start: Start, by: str) -> Start:
    return replace(start, held=by)


_known = {start.name: start for start in STARTS}
HELD = (
    _judged(training("forest", "a training job that fits a random forest", f"python -c '{_FOREST}'"), "sklearn"),
    _judged(training("cluster", "a training job that clusters", f"python -c '{_CLUSTER}'"), "sklearn"),
    _judged(training("boost", "a training job that fits xgboost", f"python -c '{_BOOST}'"), "sklearn"),
    _judged(training("parquet", "a processing job's program on Parquet, with pandas", f"python -c '{_PARQUET}'"), "sklearn"),
    Start(
        "notebook",
        "a notebook that is run in Studio, with pandas and matplotlib",
        ("python", "-c", _NOTEBOOK),
        environment=_known["kernel"].environment,
        files=_known["kernel"].files,
        user=STUDIO_USER,
        held="sklearn",
    ),
    replace(
        _known["jupyterlab"],
        name="served",
        title="JupyterLab in Studio, asked for what there is of files, kernels and terminals",
        until=answers(*(f"8888/jupyterlab/default/{path}" for path in _ASKED)),
        held="jupyterlab",
    ),
    _judged(script("udf", "a training job on Parquet with Spark, with a UDF of pandas", programs.PANDAS_UDF, "distributed"), "frame"),
    _judged(script("submit", "a training job by spark-submit, with RDDs and SQL", programs.SUBMIT, "distributed", "spark-submit"), "frame"),
    _judged(script("conv", "a training job that trains a convolution net, with worker processes", programs.CONV, "dl"), "vision"),
    _judged(script("encoder", "a training job that trains a transformer", programs.ENCODER, "dl"), "step"),
)
