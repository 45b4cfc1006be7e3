"""Runs a program in a notebook's cell, as a person in Studio would: a real kernel, started through the entrypoint, driven by nbclient.

Runs inside the Studio container: `python -m lyftlearn_local.demo.notebook ORDER`, where ORDER is a JSON file:
    {"launcher": [...], "program": "/path/train.py", "kernel_environ": {...}, "result": "/path/result.json"}
"""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lyftlearn_local.demo.clock import start_seconds

_NAME = "pod"


def install_kernel(data: Path, launcher: "list[str]", environ: "dict[str, str]") -> None:
    """A kernelspec as a platform team writes it: Python's own, with the launcher in front."""
    directory = data / "kernels" / _NAME
    directory.mkdir(parents=True)
    spec = {
        "argv": [*launcher, "python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python, as in the pod",
        "language": "python",
        "env": environ,
    }
    (directory / "kernel.json").write_text(json.dumps(spec))


def execute(program: str, launcher: str) -> "dict[str, Any]":
    """Runs the program in a cell. Gives what it printed, and how long the kernel's start took (None when it was not seen)."""
    import nbformat
    from nbclient import NotebookClient

    cell = nbformat.v4.new_code_cell(f"%run {program}")  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, kernel_name=_NAME, timeout=540)
    client.create_kernel_manager()
    manager: Any = client.km
    manager.transport = "ipc"  # ipykernel 7 warns of TCP, and a kernel's stderr should be silent
    seconds: list[float | None] = []

    def pid() -> "int | None":
        process = getattr(getattr(manager, "provisioner", None), "process", None)
        return process.pid if process is not None else None

    def watch() -> None:
        end = time.monotonic() + 30
        while pid() is None and time.monotonic() < end:
            time.sleep(0.0005)
        found = pid()
        if found is not None:
            seconds.append(start_seconds(found, launcher, lambda: False, 30))

    sys.setswitchinterval(0.0005)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    client.execute()
    watcher.join()
    printed = "".join(output["text"] for output in cell["outputs"] if output.get("name") == "stdout")
    errors = "".join(output["text"] for output in cell["outputs"] if output.get("name") == "stderr")
    return {"stdout": printed, "stderr": errors, "start": seconds[0] if seconds else None}


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_text())
    install_kernel(Path.home() / ".local" / "share" / "jupyter", order["launcher"], order["kernel_environ"])
    result = execute(order["program"], order["launcher"][-1])
    Path(order["result"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
