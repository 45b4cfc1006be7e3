"""Whether a layer is worth laying out: how many spans that spares each start."""

from lyftlearn_entrypoint.cli.footprint.spans import SPAN
from lyftlearn_entrypoint.cli.layout import gain
from lyftlearn_entrypoint.cli.layout.gain import Gain
from lyftlearn_entrypoint.cli.layout.order import Entry, ordered


def entries(*sizes: "tuple[str, int]") -> "list[Entry]":
    made, at = [], 0
    for path, size in sizes:
        made.append(Entry(path, "file", "", at, size))
        at += size
    return made


SCATTERED = entries(*((f"/{letter}/{which}", size) for letter in "abcdef" for which, size in (("cold", SPAN), ("hot", 1024))))
HOT = [entry.path for entry in SCATTERED if entry.path.endswith("hot")]


def uses(made: "list[Entry]", *paths: str) -> "dict[str, list[tuple[int, int]]]":
    """Of each file the last 512 bytes."""
    return {entry.path: [(entry.start + entry.size - 512, entry.start + entry.size)] for entry in made if entry.path in paths}


def test_small_files_in_many_places_become_one_span() -> None:
    found = gain.gains(SCATTERED, HOT, {"train": uses(SCATTERED, *HOT), "other": uses(SCATTERED, "/b/cold"), "none": {}})
    assert found == {"train": Gain(6, 1), "other": Gain(1, 1), "none": Gain(0, 0)}
    assert found["train"].share > gain.WORTH
    assert found["other"].share == found["none"].share == 0


def test_a_layer_that_is_laid_out_is_judged_as_it_would_be_without() -> None:
    laid = entries(*((entry.path, entry.size) for entry in ordered(SCATTERED, HOT)))
    assert gain.gains(laid, HOT, {"train": uses(laid, *HOT)}) == {"train": Gain(6, 1)}


def test_of_a_few_huge_files_nothing_is_spared() -> None:
    made = entries(("/a.so", 60 * SPAN), ("/b.txt", 1024), ("/c.so", 50 * SPAN))
    (found,) = gain.gains(
        made, ["/a.so", "/c.so"], {"torch": {"/a.so": [(0, 60 * SPAN)], "/c.so": [(60 * SPAN + 1024, 110 * SPAN + 1024)]}}
    ).values()
    assert (found.plain, found.hot) == (111, 110)
    assert found.share < gain.WORTH


def test_a_path_that_the_layer_does_not_have_is_passed_over() -> None:
    assert gain.gains([], ["/a"], {"train": {"/a": [(0, 512)]}}) == {"train": Gain(0, 0)}
