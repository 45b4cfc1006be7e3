"""The lock of images/dl, against that of images/base: no engine needed."""

import re
from pathlib import Path

IMAGES = Path(__file__).parents[2] / "images"


def locked(image: str) -> "dict[str, tuple[str, int]]":
    """Package to (version, number of hashes)."""
    text = (IMAGES / image / "requirements.txt").read_text()
    found = {}
    for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE):
        pinned = re.match(r"([a-z0-9.-]+)==(\S+)", block)
        if pinned:
            found[pinned[1]] = (pinned[2], block.count("--hash=sha256:"))
    return found


def test_what_both_images_have_has_one_version() -> None:
    base, dl = locked("base"), locked("dl")
    shared = set(base) & set(dl)
    assert {"numpy", "pillow", "jinja2"} <= shared
    assert {name: dl[name] for name in shared} == {name: base[name] for name in shared}


def test_the_lock_is_of_the_cuda_build_of_the_index() -> None:
    """A local wheel, such as a CPU build, has a version with a `+`, and hashes of its own."""
    dl = locked("dl")
    assert {"torch", "torchvision", "triton", "nvidia-cudnn-cu13", "nvidia-nccl-cu13"} <= set(dl)
    assert not [name for name, (version, _) in dl.items() if "+" in version]
    assert all(hashes for _, hashes in dl.values())


def test_the_lock_holds_for_both_architectures() -> None:
    """Wheels of NVIDIA's libraries exist for one architecture each."""
    dl = locked("dl")
    large = [name for name in dl if re.match(r"nvidia-(cublas|cudnn|cufft|cusparse|nccl|cusolver)", name)]
    assert len(large) >= 6
    assert all(dl[name][1] >= 2 for name in large)


def test_the_dockerfile_splits_the_lock_without_a_rest() -> None:
    names = set(locked("dl"))
    nvidia = {name for name in names if re.match(r"(nvidia|cuda)-", name)}
    assert 15 < len(nvidia) < len(names)
    dockerfile = (IMAGES / "dl/Dockerfile").read_text()
    assert dockerfile.count("ours = /^(nvidia|cuda)-/ } ours'") == dockerfile.count("ours = /^(nvidia|cuda)-/ } !ours'") == 1
