"""Where a setting comes from, and what is said of one that cannot be."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from pixseek.errors import InvalidSetting
from pixseek.settings import Settings, load, settings_file


def write(text: str) -> Path:
    file = settings_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_without_any_source_the_defaults_hold(own_home: Path) -> None:
    settings = load()
    assert settings == Settings()
    assert settings.library.is_relative_to(own_home)
    assert (settings.model, settings.store, settings.workers) == ("", "", 0)
    assert settings.worker_count() >= 1


def test_each_source_outranks_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    write("workers = 2\nmemory_mb = 200\nmax_megapixels = 20\n")
    monkeypatch.setenv("PIXSEEK_MEMORY_MB", "300")
    monkeypatch.setenv("PIXSEEK_MAX_MEGAPIXELS", "30")
    settings = load({"max_megapixels": 40, "workers": None})
    assert (settings.workers, settings.memory_mb, settings.max_megapixels) == (2, 300, 40)
    assert settings.lock_timeout_s == Settings().lock_timeout_s


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(environ={"PIXSEEK_WORKERS": ""}) == Settings()


def test_every_setting_can_come_from_file_variable_and_argument(own_home: Path) -> None:
    values = {
        "library": str(own_home / "lib"),
        "model": "palette",
        "store": "memory",
        "device": "cuda",
        "offline": True,
        "workers": 3,
        "memory_mb": 4,
        "max_megapixels": 5,
        "max_file_mb": 6,
        "max_seconds": 6.5,
        "max_moments": 7,
        "lock_timeout_s": 8.5,
        "thumbnails": True,
        "host": "::1",
        "port": 0,
        "token": "secret",
        "hosts": "photos.lan",
        "requests_per_s": 8,
        "upload_mb": 9,
        "upload_megapixels": 10,
        "threads": 11,
        "queue": 12,
        "fetch_images": True,
        "fetch_hosts": "nas",
    }
    assert list(values) == [field.name for field in fields(Settings)]
    expected = Settings(
        *(own_home / "lib", "palette", "memory", "cuda", True, 3, 4, 5, 6, 6.5, 7, 8.5),
        *(True, "::1", 0, "secret", "photos.lan", 8, 9, 10, 11, 12, True, "nas"),
    )
    assert load(values) == expected
    assert load(environ={f"PIXSEEK_{k.upper()}": str(v) for k, v in values.items()}) == expected
    write("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    assert load(environ={}) == expected


def test_the_token_is_not_shown_with_the_other_settings() -> None:
    assert "secret" not in repr(Settings(token="secret"))


def test_a_tilde_in_the_library_is_the_home_folder(own_home: Path) -> None:
    write('library = "~/pictures/library"\n')
    assert load().library == own_home / "pictures/library"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("workers", "many", "a whole number"),
        ("workers", "-1", "a whole number of at least 0"),
        ("workers", "1.5", "a whole number"),
        ("memory_mb", "0", "a whole number of at least 1"),
        ("max_megapixels", "0", "a whole number of at least 1"),
        ("max_seconds", "0.5", "a number of at least 1"),
        ("max_seconds", "nan", "a number of at least 1"),
        ("lock_timeout_s", "soon", "a number"),
        ("lock_timeout_s", "-0.1", "a number of at least 0"),
        ("lock_timeout_s", "nan", "a number"),
    ],
)
def test_a_bad_value_is_refused_with_its_source(name: str, value: str, expected: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{name}.*{value}.*argument.*{expected}"):
        load({name: value})
    variable = f"PIXSEEK_{name.upper()}"
    with pytest.raises(InvalidSetting, match=f"environment variable {variable}.*{expected}"):
        load(environ={variable: value})
    file = write(f'{name} = "{value}"\n')
    with pytest.raises(InvalidSetting, match=expected) as caught:
        load(environ={})
    assert (caught.value.name, caught.value.value, caught.value.source) == (name, value, str(file))


def test_a_name_that_is_no_setting_is_refused_with_those_that_are() -> None:
    file = write("worker = 2\n")
    with pytest.raises(InvalidSetting, match=r"'worker'.*expected one of library, model") as caught:
        load()
    assert caught.value.source == str(file)


def test_a_file_that_is_not_toml_is_refused_by_name() -> None:
    write("workers: 2\n")
    with pytest.raises(InvalidSetting, match=r"pixseek\.toml.*a TOML file"):
        load()


def test_a_file_that_is_not_utf_8_is_refused_by_name() -> None:
    write("")
    settings_file().write_bytes('library = "/home/café"\n'.encode("latin-1"))
    with pytest.raises(InvalidSetting, match=r"pixseek\.toml.*a TOML file"):
        load()
