"""Which tests pytest-xdist gives to one worker together."""

from tests.scheduling import Together


def test_files_that_would_wait_for_each_other_are_like_one() -> None:
    of = Together.__new__(Together)._split_scope
    names = ("base_canary", "dl_canary", "demo_docker_engine", "parity_matrix")
    alone = {of(f"tests/images/test_{name}.py::test_x[a::b]") for name in names}
    assert len(alone) == 1
    assert of("tests/images/test_push.py::test_x") == of("tests/images/test_push.py::test_y[a::b]") == "tests/images/test_push.py"
    assert of("tests/unit/test_url.py::test_x") not in alone
