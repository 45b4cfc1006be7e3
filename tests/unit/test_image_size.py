"""What a layer is called, what it weighs, and budgets."""

import gzip
import random

import pytest

from lyftlearn_entrypoint.cli.image import size as image_size
from lyftlearn_entrypoint.cli.image.layers import Saved
from tests.unit.saved_image import chunks, config, engine_form, tar


@pytest.mark.parametrize(
    ("created_by", "name"),
    [
        ("", "base system"),
        ("COPY / / # buildkit", "base system"),
        ("COPY /opt/venv/ /opt/venv/ # buildkit", "COPY /opt/venv/ /opt/venv/"),
        (
            "RUN |1 SOURCE_DATE_EPOCH=1 /bin/sh -eu -c apt-get update;  apt-get install -y --no-install-recommends a b; rm x # buildkit",
            "apt a b",
        ),
        ("RUN /bin/sh -c make all # buildkit", "RUN make all # buildkit"),
        ("/bin/sh -c #(nop) ADD file:1 in / ", "/bin/sh -c #(nop) ADD file:1 in /"),
    ],
)
def test_layer_name(created_by: str, name: str) -> None:
    assert image_size.layer_name(created_by).strip() == name


def test_layers_are_those_with_files_lowest_first() -> None:
    history = [{"CreatedBy": "ENV A=1", "Size": 0}, {"CreatedBy": "COPY a b # buildkit", "Size": 5}, {"CreatedBy": "", "Size": 7}]
    assert image_size.layers(history) == [image_size.Layer("base system", 7), image_size.Layer("COPY a b", 5)]


def test_over_budget_says_by_how_much() -> None:
    made = [image_size.Layer("base system", 120_000_000), image_size.Layer("COPY a b", 5_000_001)]
    assert image_size.over_budget(made, 125_000_001, {"base system": 120_000_000, "total": 126_000_000}) == []
    assert image_size.over_budget(made, 125_000_001, {"COPY a": 5_000_000, "total": 125_000_000}) == [
        "COPY a b has 5.0 MB unpacked, over its budget of 5.0 MB",
        "the image has 125.0 MB unpacked, over its budget of 125.0 MB",
    ]


def test_packages_are_sorted_by_size() -> None:
    printed = '[{"kind": "debian", "name": "b", "version": "1", "bytes": 1}, {"kind": "python", "name": "a", "version": "2", "bytes": 9}]'
    assert [package.name for package in image_size.packages(printed)] == ["a", "b"]


def test_kinds() -> None:
    found = [image_size.Package(kind, name, "1", size) for kind, name, size in (("jar", "a", 5), ("debian", "b", 9), ("jar", "c", 6))]
    assert image_size.kinds(found) == [("jar", 2, 11), ("debian", 1, 9)]


def test_unpacked_layers_are_those_with_files() -> None:
    layers = [tar({"a": bytes(7), "b": bytes(5), "c": "a"}), tar({"d/": None}), bytes(1024), tar({"e": b"1"})]
    found = image_size.unpacked_layers(Saved(chunks(engine_form(layers, config(layers)))))
    assert found == [image_size.Layer("COPY part0 /", 12), image_size.Layer("COPY part3 /", 1)]


def test_compressed_is_what_gzip_makes_of_a_layer() -> None:
    noise = random.Random(1).randbytes(300_000)
    layers = [tar({"zeros": bytes(5_000_000)}), bytes(1024), tar({"noise": noise})]
    made = [image_size.Layer("COPY part0 /", 5_000_000), image_size.Layer("COPY part2 /", 300_000)]
    found = image_size.compressed_layers(Saved(chunks(engine_form(layers, config(layers)), 50_000)), made)
    assert [(layer.name, layer.size) for layer in found] == [("COPY part0 /", 5_000_000), ("COPY part2 /", 300_000)]
    for layer, data in zip(found, (layers[0], layers[2]), strict=True):
        assert abs(layer.compressed - len(gzip.compress(data, 6, mtime=0))) < 20
    assert found[0].compressed < 10_000 < 290_000 < found[1].compressed


def test_layers_of_one_name_keep_their_order() -> None:
    layers = [tar({"a": b""}), tar({"noise": random.Random(1).randbytes(90_000)})]
    image = config(layers)
    for step in image["history"]:
        step["created_by"] = "COPY x y"
    made = [image_size.Layer("COPY x y", 1), image_size.Layer("COPY x y", 2)]
    small, large = image_size.compressed_layers(Saved(chunks(engine_form(layers, image))), made)
    assert small.compressed < 1000 < large.compressed


@pytest.mark.parametrize(
    ("budget", "over"),
    [
        ({"compressed": {"COPY": 40, "total": 60}}, []),
        ({"COPY": 99, "compressed": {"COPY": 40}}, ["COPY a has 0.0 MB unpacked, over its budget of 0.0 MB"]),
        ({"compressed": {"COPY": 39}}, ["COPY a has 0.0 MB compressed, over its budget of 0.0 MB"]),
        ({"compressed": {"total": 59}}, ["the image has 0.0 MB compressed, over its budget of 0.0 MB"]),
    ],
)
def test_budgets_for_compressed_layers(budget: "dict[str, object]", over: "list[str]") -> None:
    made = [image_size.Layer("base system", 200, 20), image_size.Layer("COPY a", 100, 40)]
    assert image_size.over_budget(made, 300, budget) == over


def test_budgets_for_compressed_layers_wait_until_they_are_measured() -> None:
    assert image_size.over_budget([image_size.Layer("COPY a", 100)], 100, {"COPY": 100, "compressed": {"COPY": 1, "total": 1}}) == []
