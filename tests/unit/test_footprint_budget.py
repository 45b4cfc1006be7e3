"""The budget of what starts touch: who is over it, and which package did it."""

from typing import Any

from lyftlearn_entrypoint.cli.footprint import budget as footprint_budget
from lyftlearn_entrypoint.cli.footprint.spans import SPAN


def row(name: str, **packages: int) -> "dict[str, Any]":
    named = {name.replace("_", " "): size for name, size in packages.items()}
    return {"layer": name, "files": len(named), "bytes": sum(named.values()), "packages": named}


def start(*rows: "dict[str, Any]", fetched: int = 0, name: str = "train") -> "dict[str, Any]":
    return {"start": name, "bytes": sum(row["bytes"] for row in rows), "layers": list(rows), "fetched": {"most": {"bytes": fetched}}}


BEFORE = start(row("base system", debian_libc6=3_000_000), row("COPY /venv/ /"), fetched=20_000_000)
BUDGET = footprint_budget.made([BEFORE])


def test_a_budget_leaves_some_room() -> None:
    assert BUDGET == {
        "train": {
            "opened": {"base system": 3_200_000},
            "total": 3_200_000,
            "fetched": 25_500_000,
            "packages": {"debian libc6": 3_000_000},
        }
    }
    assert footprint_budget.over([BEFORE], BUDGET) == []
    assert 20_000_000 + SPAN < 25_500_000


def test_the_package_that_grew_is_named() -> None:
    grown = start(row("base system", debian_libc6=3_300_000, debian_new=100_000))
    assert footprint_budget.over([grown], BUDGET) == [
        "train opens 3.4 MB of base system, over its budget of 3.2 MB: debian libc6 (+0.3 MB), debian new (+0.1 MB, new)",
        "train opens 3.4 MB in all, over its budget of 3.2 MB: debian libc6 (+0.3 MB), debian new (+0.1 MB, new)",
    ]


def test_a_layer_without_a_budget_may_not_be_touched() -> None:
    """By one byte; the start is within its total."""
    touched = start(row("base system", debian_libc6=3_000_000), row("COPY /venv/ /", python_numpy=1))
    assert footprint_budget.over([touched], BUDGET) == [
        "train opens 0.0 MB of COPY /venv/ /, over its budget of 0.0 MB: python numpy (+0.0 MB, new)"
    ]


def test_what_is_fetched_has_a_budget_of_its_own() -> None:
    scattered = start(row("base system", debian_libc6=3_000_000), fetched=25_500_001)
    assert footprint_budget.over([scattered], BUDGET) == [
        "train has 25.5 MB fetched, over its budget of 25.5 MB: no package grew, so files moved between layers or spans"
    ]


def test_a_start_without_a_budget_is_passed_over() -> None:
    assert footprint_budget.over([start(row("any", x_y=9), name="other")], BUDGET) == []


def test_layers_count_together_for_the_longest_beginning_of_their_names() -> None:
    budget = {"train": {"opened": {"apt ": 10, "apt g++": 100}, "total": 1000, "fetched": 0}}
    found = start(row("apt python3", a_b=6), row("apt java", c_d=5), row("apt g++ libc", e_f=100))
    assert footprint_budget.over([found], budget) == [
        "train opens 0.0 MB of apt , over its budget of 0.0 MB: a b (+0.0 MB, new), c d (+0.0 MB, new)"
    ]


def test_the_name_of_a_layer_stays_when_its_step_is_changed() -> None:
    assert footprint_budget.key("apt ca-certificates libgomp1 python3") == "apt ca-certificates"
    assert footprint_budget.key("COPY /venv/ /") == "COPY /venv/"
    assert footprint_budget.key("base system") == "base system"


def squeezed(size: int, name: str = "sklearn", held: str = "", over: "int | None" = None, **packages: int) -> "dict[str, Any]":
    found = start(row("COPY /venv/ /", **packages), name=name)
    found["fetched"]["most"]["compressed_bytes"] = size
    if over is not None:
        found["over_python"] = {"fetched": {"most": {"compressed_bytes": over}}}
    return {**found, **({"held": held} if held else {})}


PROMISED = {"sklearn": {"opened": {"COPY /venv/": 9}, "total": 9, "fetched": 0, "gzip": 100_000_000, "over_python": 12_000_000}}


def test_layers_of_one_name_have_one_budget() -> None:
    """images/distributed has a /rootfs/ of its own, on the one of images/base."""
    found = start(row("COPY /rootfs/ /", a_b=250_000), row("COPY /rootfs/ / (2)", c_d=40_000), row("COPY /s3a/ /"))
    budget = footprint_budget.made([found])
    assert budget["train"]["opened"] == {"COPY /rootfs/": 400_000}
    assert footprint_budget.over([found], budget) == []


def test_compressed_bytes_are_held_to_the_promise() -> None:
    assert footprint_budget.over([squeezed(100_000_000, over=12_000_000)], PROMISED) == []
    assert footprint_budget.over([squeezed(100_100_000, over=12_100_000, python_x=9)], PROMISED) == [
        "sklearn has 100.1 MB fetched, compressed, over its budget of 100.0 MB: python x (+0.0 MB, new)",
        "sklearn has 12.1 MB more fetched than bare Python, compressed, over its budget of 12.0 MB: python x (+0.0 MB, new)",
    ]
    uncompressed = start(row("COPY /venv/ /"), name="sklearn")
    assert footprint_budget.over([uncompressed], PROMISED) == []


def test_what_is_surely_fetched_has_a_promise_of_its_own() -> None:
    """Where a start maps gigabytes and reads little of them, the upper bound says nothing of the layout."""
    budget = {"step": {"opened": {"COPY /venv/": 9}, "total": 9, "fetched": 0, "gzip": 2_000_000_000, "gzip_least": 80_000_000}}
    for name, held, least, told in (
        ("step", "", 80_000_000, []),
        ("step", "", 80_100_000, ["step has 80.1 MB surely fetched, compressed, over its budget of 80.0 MB"]),
        ("conv", "step", 92_000_000, []),
        ("conv", "step", 92_100_000, ["conv has 92.1 MB surely fetched, compressed, over its budget of 92.0 MB"]),
    ):
        found = squeezed(2_000_000_000, name, held)
        found["fetched"]["least"] = {"compressed_bytes": least}
        assert [line.partition(":")[0] for line in footprint_budget.over([found], budget)] == told
        assert footprint_budget.made([found], budget).get("step", {}).get("gzip_least") == (None if held else 80_000_000)


def test_a_start_that_is_held_out_may_be_15_percent_worse() -> None:
    assert footprint_budget.over([squeezed(115_000_000, "forest", "sklearn", python_new=50)], PROMISED) == []
    assert footprint_budget.over([squeezed(115_100_000, "forest", "sklearn")], PROMISED) == [
        "forest has 115.1 MB fetched, compressed, over its budget of 115.0 MB: no package grew, so files moved between layers or spans"
    ]


def test_promises_stay_when_a_budget_is_written_anew_and_what_is_held_out_gets_none() -> None:
    made = footprint_budget.made([squeezed(5, python_x=9), squeezed(5, "forest", "sklearn")], PROMISED)
    assert list(made) == ["sklearn"]
    assert (made["sklearn"]["gzip"], made["sklearn"]["over_python"]) == (100_000_000, 12_000_000)
    assert made["sklearn"]["total"] == 100_000
