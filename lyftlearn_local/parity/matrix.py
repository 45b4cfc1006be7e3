"""The matrix of one image: its snapshots, the comparison with the pod's, and the page."""

from collections.abc import Callable
from pathlib import Path

from lyftlearn_entrypoint.cli.parity import page
from lyftlearn_entrypoint.cli.parity.compare import Comparison, compare
from lyftlearn_entrypoint.cli.parity.contract import DEFAULT, load
from lyftlearn_entrypoint.cli.parity.facts import read
from lyftlearn_local.demo.opening import opened
from lyftlearn_local.parity.taking import PROGRAM, Taking, write

PAGE = "index.html"


def run(name: str, tag: str, out: Path, say: Callable[[str], None], environ: "dict[str, str]", contract: Path = DEFAULT) -> Comparison:
    """Takes the snapshots in containers of `tag` and writes them and the page into `out`. `name` is the image's, for the contract.

    Raises what `opened` raises, and StartError for a contract that cannot be read.
    """
    explanations = load(contract)

    def fill(code: Path) -> None:
        (code / PROGRAM).write_text("")

    with opened(say, environ, tag, fill) as made:
        documents = Taking(made).all()
    comparison = compare([read(path) for path in write(documents, out)], explanations, name)
    (out / PAGE).write_text(page.render(comparison, True, f"Parity of {name}"), encoding="utf-8")
    return comparison
