"""Hyperparameters: merged under SageMaker's own, in SageMaker's form and in the old ConfigMap's."""

from lyftlearn_entrypoint.adapt.credentials import file_name_problem
from lyftlearn_entrypoint.adapt.environment import lone_surrogate, show
from lyftlearn_entrypoint.documents import NotJson, dump, kind, parse
from lyftlearn_entrypoint.errors import BadDocument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.launch import Inputs, Launch
    from lyftlearn_entrypoint.settings import Settings


# What SageMaker delivered, kept when its file was replaced by the merged one.
OWN = "/opt/ml/input/lyftlearn/own-hyperparameters.json"

# Beside the config directory, for platforms that mount it read-only.
BESIDE = "/opt/ml/input/lyftlearn/hyperparameters.json"


def carry(launch: "Launch", settings: "Settings", inputs: "Inputs") -> None:
    """Plan SageMaker's file and the ConfigMap directory. Raises BadDocument (65)."""
    from lyftlearn_entrypoint.context import HYPERPARAMETERS
    from lyftlearn_entrypoint.launch import Volume

    delivered = inputs.own_hyperparameters or {}
    merged = delivered
    if inputs.hyperparameters is not None:
        merged, won = merge(inputs.hyperparameters.value, delivered, inputs.hyperparameters.origin)
        if won:
            launch.notes.append("SageMaker's own value stays for: " + ", ".join(sorted(won)))
        launch.hyperparameters = (document(merged), [HYPERPARAMETERS, BESIDE])
        launch.own_hyperparameters = document(delivered)
    directory = settings["hyperparameters_dir"]
    if directory and (merged or inputs.hyperparameters is not None):
        launch.volumes.append(Volume("hyperparameters", directory, config_map(merged), 0o644, memory=False))


def own_record(delivered: bytes, written: bytes) -> bytes:
    """The content of OWN: SageMaker's document, under the digest of ours, by which a later start knows it."""
    from lyftlearn_entrypoint.fetch.digest import sha256_hex

    return dump({"written": sha256_hex(written), "own": delivered.decode("utf-8", "surrogatepass")}).encode("utf-8", "surrogatepass")


def delivered(data: "bytes | None", record: "bytes | None") -> "bytes | None":
    """SageMaker's document: `data`, or the one that is kept in `record` where `data` is what an earlier start wrote."""
    if data is None or record is None:
        return data
    from lyftlearn_entrypoint.fetch.digest import sha256_hex

    try:
        kept = parse(record)
        if kept["written"] == sha256_hex(data):
            return str(kept["own"]).encode("utf-8", "surrogatepass")
    except (NotJson, KeyError, TypeError):
        pass
    return data


def own(data: "bytes | None", path: str) -> "dict[str, str]":
    """What SageMaker itself delivered. Raises BadDocument (65) when the file is there and is not a JSON object."""
    if data is None:
        return {}
    try:
        value = parse(data)
    except NotJson as error:
        raise BadDocument(
            path + ", which SageMaker wrote, is not JSON: " + str(error),
            "It is left as it is; look at the job's HyperParameters",
            finding="LL0508",
        ) from None
    if not isinstance(value, dict):
        raise BadDocument(
            path + ", which SageMaker wrote, holds " + kind(value) + ", not an object", "It is left as it is", finding="LL0508"
        )
    return {name: text(item) for name, item in value.items()}


def text(value: "Any") -> str:
    """A value as SageMaker writes it: strings as they are, anything else as compact JSON (the API's map is string to string)."""
    return value if isinstance(value, str) else dump([value])[1:-1]


def merge(fetched: "dict[str, Any]", platform: "dict[str, str]", origin: str) -> "tuple[dict[str, str], list[str]]":
    """(merged, names in which SageMaker's value won). A tuning trial's sampled values exist nowhere else, so they always win."""
    merged: dict[str, str] = {}
    for name, value in fetched.items():
        word = text(value)
        problem = "its name is empty" if not name else lone_surrogate(name) or lone_surrogate(word)
        if problem:
            raise BadDocument(
                origin + ": hyperparameter " + show(name) + ": " + problem, "Correct the document and stage it again", finding="LL0509"
            )
        merged[name] = word
    won = [name for name in platform if name in merged and merged[name] != platform[name]]
    return {**merged, **platform}, won


def document(merged: "dict[str, str]") -> bytes:
    """hyperparameters.json: a flat object, every value a string. A lone surrogate stays the JSON escape that it came as."""
    return dump(merged).encode("utf-8", "backslashreplace")


def config_map(merged: "dict[str, str]") -> "dict[str, bytes]":
    """One file per hyperparameter. Raises BadDocument (65) for a name that cannot be a file."""
    for name in merged:
        problem = file_name_problem(name)
        if problem:
            raise BadDocument(
                "hyperparameter " + show(name) + " cannot be a file below LYFTLEARN_HYPERPARAMETERS_DIR: " + problem,
                "Rename it, or do not set LYFTLEARN_HYPERPARAMETERS_DIR",
                finding="LL0510",
            )
    return {name: value.encode("utf-8", "surrogatepass") for name, value in merged.items()}
