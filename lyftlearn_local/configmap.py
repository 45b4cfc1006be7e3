"""The layout of a ConfigMap or Secret volume, as the kubelet writes it (Kubernetes 1.32, pkg/volume/util/atomic_writer.go)."""

import time


def layout(directory: str, values: "dict[str, bytes]") -> "tuple[dict[str, bytes], dict[str, str]]":
    """Files and symbolic links of a volume at `directory`: path to bytes, and path to target.

    `..<UTC time>.<number>/KEY` holds the value without a line feed added, `..data` points to that directory, `KEY` to `..data/KEY`.
    """
    stamp = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime()) + str(time.time_ns() % 1_000_000_000)
    files = {f"{directory}/{stamp}/{name}": value for name, value in values.items()}
    links = {f"{directory}/{name}": f"..data/{name}" for name in values}
    links[f"{directory}/..data"] = stamp
    return files, links
