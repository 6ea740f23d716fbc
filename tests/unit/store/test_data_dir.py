"""A data directory that can't be used is told in one sentence."""

from pathlib import Path

import pytest

from greenline.store.data_dir import DataDirUnusable, make_data_dir


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    made = make_data_dir(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    assert make_data_dir(made) == made


def test_where_none_can_be_made_the_way_out_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "data", Path("/proc/greenline")):
        with pytest.raises(DataDirUnusable, match="--data-dir"):
            make_data_dir(path)


def test_one_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(DataDirUnusable, match="read-only"):
        make_data_dir(Path("/proc/self"))
