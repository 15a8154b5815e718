import pytest

from dropzoo.models.atomic_write import atomic_write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "model.keras"
    with atomic_write(path) as part:
        part.write_text("all of it")
        assert part.suffix == ".keras" and part.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert names(path.parent) == ["model.keras"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_what_is_interrupted_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "answer.txt"
    path.write_text("old")
    with pytest.raises(error):
        with atomic_write(path) as part:
            part.write_text("new, but only hal")
            raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["answer.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    path = tmp_path / "answer.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        with atomic_write(path):
            pass
    assert path.read_text() == "old"
