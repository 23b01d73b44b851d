"""What the target of ``drawwell.open`` means: a name, a path or a URL, wherever it is called."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import drawwell
from drawwell.cli.main import run
from drawwell.opening import bundled, find_file, is_url
from drawwell_serve.settings import Settings

BUNDLED = find_file("fashion")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files whose names say nothing of what they hold."""
    monkeypatch.chdir(tmp_path)
    for name in ("fashion", "mine", "mine.onnx"):
        shutil.copy(find_file("emoji"), tmp_path / name)
    return tmp_path


def test_a_bundled_name_is_a_name_whatever_lies_in_the_current_folder() -> None:
    with pytest.warns(UserWarning, match=r"fashion is the bundled generator; for the file .* write \./fashion"):
        assert find_file("fashion") == BUNDLED
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [find_file(name).stem for name in ("emoji", "fashion-int8")] == ["emoji", "fashion-int8"]


def test_a_separator_or_an_ending_makes_a_path(folder: Path) -> None:
    assert find_file("./fashion") == Path("fashion")
    assert find_file("mine.onnx") == Path("mine.onnx")
    assert find_file(str(folder / "mine")) == folder / "mine"


def test_a_path_object_is_always_a_path() -> None:
    assert find_file(Path("fashion")) == Path("fashion")
    assert find_file(Path("mine")) == Path("mine")
    assert not is_url(Path("http://127.0.0.1:3000"))
    with pytest.raises(drawwell.GeneratorFileError, match="emoji: no such file"):
        find_file(Path("emoji"))


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("mine", "mine: there is no bundled generator of this name, only .*; for a file write ./mine$"),
        (
            "nothing",
            "nothing: there is no bundled generator of this name, only emoji, fashion, fashion-int8, fashion-mixture;",
        ),
        ("./nothing", "./nothing: no such file$"),
        ("nothing.onnx", "nothing.onnx: no such file$"),
        (".", "no bundled generator"),
        ("./", "is a folder; name the file in it"),
        ("", "the name of the generator is empty: give a bundled one"),
        ("localhost:3000", "for a server write http://localhost:3000$"),
        ("127.0.0.1:3000", "no such file; for a server write http://127.0.0.1:3000$"),
    ],
)
def test_what_is_not_there_is_explained(target: str, sentence: str) -> None:
    with pytest.raises(drawwell.GeneratorFileError, match=sentence):
        drawwell.open(target)


def test_the_command_line_and_the_server_read_names_alike(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "mine"]) == 1
    assert "for a file write ./mine" in capsys.readouterr().err
    assert run(["info", "./fashion"]) == 0
    assert capsys.readouterr().out.startswith("emoji")
    with pytest.warns(UserWarning, match="bundled"):
        assert Settings(generator="fashion").file == BUNDLED
    assert Settings(generator="./fashion").file == Path("fashion")


@pytest.mark.parametrize("words", [["info", "fashion"], ["evaluate", "fashion", "--data", "nowhere"]])
def test_the_command_line_says_in_a_sentence_which_one_it_takes(folder: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "drawwell", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stderr.splitlines()
    assert said[0] == "drawwell: fashion is the bundled generator; for the file of this name write ./fashion"
    assert all(line.startswith("drawwell") for line in said)


@pytest.mark.parametrize("options", [{"key": "k"}, {"timeout": 3.0}, {"retry_for": 0.0}])
def test_an_option_of_a_server_is_refused_for_a_file(options: dict[str, object]) -> None:
    for target in ("emoji", Path("mine"), "mine.onnx"):
        with pytest.raises(drawwell.RequestError, match=f"{next(iter(options))}: only for a server's URL"):
            drawwell.open(target, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"provider": "cpu"}, {"threads": 1}])
def test_an_option_of_a_file_is_refused_for_a_server(options: dict[str, object]) -> None:
    with pytest.raises(drawwell.RequestError, match="leave them out for a URL"):
        drawwell.open("http://127.0.0.1:1", **options)  # type: ignore[arg-type]


def test_every_generator_closes_itself_with_its_block() -> None:
    with drawwell.open("emoji", threads=1) as generator:
        assert isinstance(generator, drawwell.Engine)
        assert len(generator.generate(7, 2)) == 2
    with pytest.raises(drawwell.RequestError, match="is closed"):
        generator.generate(7, 2)


def test_the_bundled_names_are_no_paths() -> None:
    assert bundled() == ["emoji", "fashion", "fashion-int8", "fashion-mixture"]
