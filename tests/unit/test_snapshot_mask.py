"""Nobody finds a value in a snapshot: keyed hashes, weak keys refused, and a last look over every string."""

import pytest

from lyftlearn_entrypoint.snapshot.mask import Mask, suspects, weak

KEY = "8f1d2c3b4a59687786958473625140fe"
OTHER = "00112233445566778899aabbccddeeff"


def test_a_value_is_an_hmac_that_only_the_key_gives() -> None:
    mask = Mask(KEY)
    found = mask.of("variable", "PASSWORD", "1234")
    assert found is not None
    assert found.startswith("hmac:")
    assert len(found) == len("hmac:") + 32
    assert Mask(KEY).of("variable", "PASSWORD", "1234") == found
    assert Mask(OTHER).of("variable", "PASSWORD", "1234") != found


@pytest.mark.parametrize("other", [("variable", "TOKEN", "1234"), ("file", "PASSWORD", "1234"), ("variable", "PASSWORD", "12345")])
def test_one_value_in_two_places_does_not_show(other: "tuple[str, str, str]") -> None:
    mask = Mask(KEY)
    assert mask.of("variable", "PASSWORD", "1234") != mask.of(*other)


def test_names_and_values_cannot_be_shifted_into_each_other() -> None:
    mask = Mask(KEY)
    assert mask.of("variable", "A", "B\0C") != mask.of("variable", "A\0B", "C")


def test_bytes_that_are_no_text_are_hashed_as_they_are() -> None:
    mask = Mask(KEY)
    assert mask.of("variable", "A", "\udcff") == mask.of("variable", "A", b"\xff")


def test_without_a_key_nothing_is_said() -> None:
    mask = Mask("")
    assert mask.key_id is None
    assert mask.of("variable", "A", "b") is None
    mask.hide(["hidden-word"])
    assert mask.text("/srv/hidden-word") == "(hidden)"


def test_the_name_of_a_key_tells_keys_apart_and_not_the_key() -> None:
    first, second = Mask(KEY).key_id, Mask(OTHER).key_id
    assert first
    assert first != second
    assert first not in KEY


@pytest.mark.parametrize("key", ["", "short", "a" * 31, "a" * 64, "abcdefg" * 9])
def test_a_weak_key_is_named_and_not_quoted(key: str) -> None:
    said = weak(key)
    assert "openssl rand -hex 32" in said
    assert not key or key not in said


def test_a_good_key() -> None:
    assert weak(KEY) == ""


def test_what_is_hidden_stands_nowhere() -> None:
    mask = Mask(KEY)
    mask.hide(["s3cr", "a-long-password", "x"])
    document = {"/mnt/s3cr/file": ["/srv/a-long-password-file", "xylophone", "s3cret", 7, None, True], "plain": {"a-long-password": "ok"}}
    shown = mask.over(document)
    assert "a-long-password" not in str(shown)
    assert "/mnt/s3cr" not in str(shown)
    [(name, values), (plain, inner)] = shown.items()
    assert name.startswith("hmac:")
    assert values[1:] == ["xylophone", "s3cret", 7, None, True]  # a short secret is looked for as a whole part alone
    assert plain == "plain"
    assert next(iter(inner.values())) == "ok"


def test_the_documents_own_words_stay() -> None:
    mask = Mask(KEY, frozenset({"file", "directory"}))
    mask.hide(["file", "directory"])
    assert mask.over({"file": "directory", "/srv/file": 1}) == {"file": "directory", mask.text("/srv/file"): 1}
    assert mask.text("/srv/file") != "/srv/file"


def test_suspects_are_all_values_but_paths_and_those_of_platforms() -> None:
    variables = {
        "CREDENTIALS_PIN": "4711",
        "TOKEN": "abcdefghijklmnop",
        "SECRETS_PATH": "/etc/credentials",
        "LIBRARIES": "src:/srv/code",
        "USER": "a-long-user-name",
        "LC_ALL": "de_DE.ISO-8859-1",
        "DMLC_INTERFACE": "eth0",
        "SAGEMAKER_APP_TYPE": "JupyterLab",
    }
    assert suspects(variables) == ["4711", "abcdefghijklmnop"]
