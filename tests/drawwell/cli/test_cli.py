"""The command line as a user meets it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import drawwell as library
from drawwell.cli.main import run
from drawwell.formats.verify import verify
from tests import graphs
from tests.conftest import Server, drawwell


def test_help_names_every_command() -> None:
    for arguments in ([], ["--help"]):
        text = drawwell(*arguments, fresh=True).stdout
        assert all(f"  {command}" in text for command in ("train", "export", "serve", "generate", "info", "verify"))


@pytest.mark.parametrize("command", ["train", "export", "serve", "generate", "info", "verify"])
def test_every_command_explains_itself(command: str) -> None:
    text = drawwell(command, "--help").stdout
    assert f"usage: drawwell {command}" in text
    assert "{None}" not in text


def test_wrong_usage_ends_with_2() -> None:
    assert "there is no command 'draw'" in drawwell("draw", code=2).stderr
    assert "Error parsing --seed: 'x' is not an integer" in drawwell("generate", "--seed", "x", code=2).stderr
    assert "at least 1" in drawwell("train", "digits", "--steps", "0", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "digits", "--steps", "3,000"], "'3,000' is not an integer: write 3000"),
        (["train", "digits", "--steps", "1e4"], "'1e4' is not an integer"),
        (["train", "digits", "--learning-rate", "fast"], "'fast' is not a number"),
        (["train", "digits", "--batch-size", "x"], "'x' is not an integer"),
        (["train", "digits", "--size", "50"], "Expected one of ('28', '32', '64', '128')"),
        (["generate", "--indices", "5,63,5"], "'5,63,5': separate the numbers by spaces: 5 63 5"),
        (["generate", "--indices", "5", "x"], "'x' is not an integer"),
        (["generate", "--output", "x.png"], "Unrecognized options: --output"),
        (["export", "runs/x", "--step", "last"], "'last' is neither a number nor 'best'"),
        (["serve", "--port", "http"], "'http' is not an integer"),
    ],
)
def test_a_value_that_cannot_be_read_is_told_without_types(arguments: list[str], sentence: str) -> None:
    said = " ".join(drawwell(*arguments, code=2).stderr.replace("│", " ").split())
    assert sentence in said and "None" not in said


def test_a_folder_of_other_files_is_not_written_into(tmp_path: Path, tiny_generator: Path) -> None:
    for out in ("drawn", "photos"):
        (tmp_path / out).mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    drawing = ["generate", str(tiny_generator), "--count", "1", "--out"]
    error = drawwell(*drawing, str(tmp_path / "photos"), code=1).stderr
    assert "this folder holds 'cat.png', which is no drawn image: name another folder with --out" in error
    assert "seed" not in error
    drawwell(*drawing, str(tmp_path / "drawn"))
    drawwell(*drawing, str(tmp_path / "drawn"))
    assert len(list((tmp_path / "drawn").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["generate", "nothing-such"],
            "nothing-such: there is no bundled generator of this name, only emoji, fashion, fashion-int8, fashion-mixture",
        ),
        (["generate", "localhost:3000"], "for a server write http://localhost:3000"),
        (["serve", "./tests"], "./tests: is a folder; name the file in it"),
        (["generate", "--out", "x.jpg"], "images are written as .npy, .tar or .zip"),
        (["generate", "--out", "x.tar.gz"], "not as .gz"),
        (["verify"], "name the files to verify"),
        (["verify", "docs"], "docs: is a folder, and its images have no checksum: draw into a .tar, .zip or .npy"),
        (["serve", "http://localhost:3000"], "http://localhost:3000: is a URL; name a generator file"),
        (["export", "tests/train/run/checkpoints"], "is not a run folder of drawwell train"),
        (["generate", "--label", "99"], "by index 0 to 9"),
        (["verify", "nowhere.tar"], "nowhere.tar: cannot be read (No such file or directory)"),
        (["verify", "README.md"], "is no .npy, .tar or .zip of images from drawwell"),
        (["generate", "--count", "1000000000000000", "--out", "x.npy"], "GiB are free"),
        (["train", ".", "--dry-run", "--size", "28"], "lies inside the data"),
        (["train", "digits", "--width", "1000000", "--out", "/tmp/never"], "not enough memory"),
        (["generate", "--seed", "-1"], "seed must be in"),
        (["generate", "--count", "0"], "count must be"),
        (["generate", "--count", "5000", "--out", "sheet.png"], "a contact sheet holds at most 4,096"),
        (["generate", "--out", "/proc/nowhere/x.npy"], "cannot be written"),
        (["info", "pyproject.toml"], "is no drawwell generator"),
        (["export", "nowhere"], "nowhere: is not there: name the folder"),
        (["train", "nowhere"], "nowhere: no such file or folder"),
        (["serve", "nothing-such"], "nothing-such: there is no bundled generator of this name"),
        (["serve", "nothing.onnx"], "nothing.onnx: no such file"),
    ],
)
def test_a_mistake_is_one_sentence_and_ends_with_1(arguments: list[str], sentence: str) -> None:
    error = drawwell(*arguments, code=1).stderr
    assert sentence in error
    assert error.splitlines()[-1].startswith(f"drawwell {arguments[0]}: ")


def test_an_interrupted_drawing_leaves_no_half_file(tmp_path: Path, tiny_generator: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "drawwell",
        "generate",
        str(tiny_generator),
        "--count",
        "10000000",
        "--out",
        "x.npy",
    ]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while not list(tmp_path.glob(".*.writing")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate()[1]
        left = [file.name for file in tmp_path.iterdir()]
        if number == signal.SIGKILL:
            assert len(left) == 1
            assert re.fullmatch(r"\.[0-9a-f]{16}\.writing", left[0]), left
        else:
            assert "interrupted" in said
            assert process.returncode == 130
            assert left == []


def test_output_that_nobody_reads_is_no_traceback(tiny_generator: Path) -> None:
    command = f"{sys.executable} -m drawwell info {tiny_generator} | true"
    assert "Traceback" not in subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stderr


def test_a_random_seed_is_named_and_fits_a_float64(tmp_path: Path, tiny_generator: Path) -> None:
    said = drawwell("generate", str(tiny_generator), "--count", "1", "--out", str(tmp_path / "x.npy")).stderr
    seed = int(said.split()[1])
    assert 0 <= seed < 2**53
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), library.open(tiny_generator).generate(seed, 1).images)


def test_a_folder_holds_pngs_named_by_address(tmp_path: Path, tiny_generator: Path) -> None:
    drawwell(
        "generate", str(tiny_generator), "--seed", "7", "--count", "3", "--start", "9", "--out", str(tmp_path / "out")
    )
    wanted = library.open(tiny_generator).generate(7, 3, 9).images
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["7-10.png", "7-11.png", "7-9.png"]
    for index in (9, 10, 11):
        with Image.open(tmp_path / "out" / f"7-{index}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), wanted[index - 9, ..., 0])


@pytest.mark.parametrize("remote", [False, True])
def test_an_npy_holds_the_batch(tmp_path: Path, tiny_generator: Path, server: Server, remote: bool) -> None:
    target, out = server.url if remote else str(tiny_generator), tmp_path / "sub" / "images.npy"
    drawwell("generate", target, "--seed", "7", "--count", "1500", "--out", str(out))
    np.testing.assert_array_equal(np.load(out), library.open(tiny_generator).generate(7, 1500).images)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_is_the_same_from_a_file_and_from_a_server(
    tmp_path: Path, tiny_generator: Path, server: Server, kind: str
) -> None:
    options = ["--seed", "7", "--count", "1100", "--start", "9", "--out"]
    for target, name in ((str(tiny_generator), "local"), (server.url, "remote")):
        drawwell("generate", target, *options, str(tmp_path / f"{name}.{kind}"))
    drawwell("generate", str(tiny_generator), *options, str(tmp_path / "folder"))
    assert (tmp_path / f"local.{kind}").read_bytes() == (tmp_path / f"remote.{kind}").read_bytes()
    shutil.unpack_archive(tmp_path / f"local.{kind}", tmp_path / "unpacked")
    (tmp_path / "unpacked" / "__drawwell__").unlink()
    unpacked, folder = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("unpacked", "folder")
    )
    assert unpacked == folder
    assert len(folder) == 1100


def test_verify_tells_whole_files_from_those_cut_off(tmp_path: Path, tiny_generator: Path) -> None:
    files = [str(tmp_path / name) for name in ("x.npy", "x.tar", "x.zip")]
    for file in files:
        drawwell("generate", str(tiny_generator), "--seed", "7", "--count", "40", "--start", "9", "--out", file)
    said = drawwell("verify", *files).stdout.splitlines()
    digest = library.open(tiny_generator).digest[:12]
    assert said[0].startswith(f"{files[0]}: whole: 40 images of 28 x 28 pixels, grey")
    assert said[1:] == [f"{file}: whole: 40 images of seed 7 from index 9, generator {digest}" for file in files[1:]]
    os.truncate(files[1], Path(files[1]).stat().st_size // 2)
    error = drawwell("verify", files[1], code=1).stderr
    assert re.fullmatch(
        rf"drawwell verify: {re.escape(files[1])}: cut off after (\d+) whole images; "
        r"ask for the rest from index (\d+) on, if it was asked for as a range\n",
        error,
    )
    done = drawwell("verify", *files, code=1)
    assert done.stdout.splitlines() == [said[0], said[2]]
    assert "1 of 3 files are not whole" in done.stderr


def test_indices_are_drawn_in_their_order(tmp_path: Path, tiny_generator: Path) -> None:
    drawwell(
        "generate", str(tiny_generator), "--seed", "7", "--out", str(tmp_path / "x.npy"), "--indices", "5", "99", "3"
    )
    wanted = library.open(tiny_generator).generate(7, indices=[5, 99, 3]).images
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), wanted)


def test_a_sheet_shows_the_images_and_a_failure_leaves_the_old_one(tmp_path: Path, tiny_generator: Path) -> None:
    sheet = tmp_path / "sheet.png"
    said = drawwell("generate", str(tiny_generator), "--count", "9", "--out", str(sheet)).stderr
    assert "9 images of seed " in said
    with Image.open(sheet) as picture:
        assert picture.size == (92, 92)
    before = sheet.read_bytes()
    drawwell("generate", str(tiny_generator), "--count", "5000", "--out", str(sheet), code=1)
    assert sheet.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]


def test_info_tells_the_card_of_a_file_and_of_a_server(tiny_generator: Path, server: Server) -> None:
    of_file, of_server = drawwell("info", str(tiny_generator)).stdout, drawwell("info", server.url).stdout
    assert of_file == of_server
    assert "28 x 28 pixels, grey" in of_file
    assert "480 images in 30 steps" in of_file
    assert library.open(tiny_generator).digest in of_file


LONG = "n" * 300


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command prints, in this process, which has imported everything already."""
    assert run(arguments) == code
    return "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", LONG],
        ["info", f"http://{LONG}"],
        ["info", "~nobody-of-this-name/generator.onnx"],
        ["verify", LONG],
        ["generate", LONG],
        ["generate", "--count", "1", "--out", LONG],
        ["generate", "--count", "1", "--out", f"{LONG}.npy"],
        ["generate", "--count", "1", "--out", f"{LONG}/x.png"],
        ["serve", LONG],
        ["export", LONG],
        ["evaluate", LONG, "--data", "digits"],
        ["curves", LONG],
        ["train", LONG],
    ],
)
def test_a_name_of_300_letters_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, *arguments, code=1).splitlines()[-1].startswith(f"drawwell {arguments[0]}: ")


def test_a_name_of_250_letters_is_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file that it is written in first has a name of its own, which must not be longer."""
    out = tmp_path / f"{'n' * 246}.npy"
    said(capsys, "generate", "--count", "1", "--out", str(out))
    assert verify(out).state == "whole"


@pytest.mark.parametrize(
    "name", ["\x1b[2J\x1b]0;title\x07", "a\ndrawwell verify: b", "\udcff\udcfe", "\u202e", "x" * 200 + "\r"]
)
def test_a_name_with_control_characters_does_not_reach_the_terminal(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, damaged = tmp_path / f"{name}.npy", tmp_path / f"{name}.damaged"
    damaged.write_bytes(b"damaged")
    for arguments, code in (
        (["info", name], 1),
        (["verify", name], 1),
        (["verify", str(damaged)], 1),
        (["generate", name], 1),
        (["generate", "--seed", "7", "--out", f"{name}/x.jpg"], 1),
        (["generate", "--count", "1", "--seed", "7", "--out", str(file)], 0),
        (["verify", str(file)], 0),
    ):
        lines = said(capsys, *arguments, code=code).splitlines()
        assert len(lines) == 1
        assert lines[0].isprintable()


def test_a_card_with_control_characters_does_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("\x1b[2J", "cat\nDigest  forged", "x" * 100_000)
    file = str(graphs.write_labelled(tmp_path / "labelled.onnx", *names))
    lines = said(capsys, "info", file).splitlines()
    assert all(line.isprintable() for line in lines)
    assert sum(line.strip().startswith("Digest") for line in lines) == 1
    assert sum(map(len, lines)) < 50_000
    error = said(capsys, "generate", file, "--label", "dog", code=1)
    assert error.strip().isprintable()
    assert len(error) < 2000


@pytest.mark.parametrize("arguments", [["info"], ["generate", "--help"], ["info", "h\u00e4\u2603"]])
def test_a_terminal_of_few_letters_gets_what_it_can_show(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii:strict")
    done = drawwell(*arguments, code=1 if len(arguments[-1]) == 3 else 0, fresh=True)
    assert (done.stdout + done.stderr).isascii()


@pytest.mark.parametrize(
    ("redirected", "code"), [(">&-", 0), (">/dev/full", 1), (">&- 2>&-", 0), ("2>&-", 0), ("2>/dev/full", 0)]
)
def test_output_that_cannot_be_written_is_no_traceback(redirected: str, code: int, tmp_path: Path) -> None:
    shell = f"exec {sys.executable} -m drawwell info {redirected}"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr == ("drawwell info: reading or writing failed: No space left on device\n" if code else "")


def test_two_that_write_one_file_leave_one_of_the_two(tmp_path: Path) -> None:
    """Both write at the same time; the last to end stands there, whole."""
    out = tmp_path / "x.npy"
    command = [sys.executable, "-m", "drawwell", "generate", "--out", str(out), "--count", "4000", "--seed"]
    both = [subprocess.Popen([*command, str(seed)], stderr=subprocess.PIPE) for seed in (7, 8)]
    assert [process.communicate() and process.returncode for process in both] == [0, 0]
    assert verify(out).state == "whole"
    first = np.load(out)[:1]
    assert any(np.array_equal(first, library.open("fashion").generate(seed, 1).images) for seed in (7, 8))
    assert list(tmp_path.iterdir()) == [out]


def test_a_planted_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "out").mkdir()
    for name in (".x.npy.writing", "x.npy", "out/7-0.png", "out/7-0.cls"):
        (tmp_path / name).symlink_to(precious)
    for out in ("x.npy", "out"):
        said(capsys, "generate", "--seed", "7", "--count", "1", "--out", str(tmp_path / out))
    assert precious.read_text() == "mine"
    assert not (tmp_path / "x.npy").is_symlink()
    assert (tmp_path / "out" / "7-0.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_is_interrupted_holds_whole_files_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "drawwell", "generate", "--count", "100000", "--seed", "7", "--out", "out"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while len(list((tmp_path / "out").glob("*.png"))) < 50:
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        process.communicate()
    assert process.returncode == 130
    for file in (tmp_path / "out").iterdir():
        assert file.suffix in (".png", ".cls")
        assert file.stat().st_size > 0


def test_a_dash_is_standard_output(tmp_path: Path, tiny_generator: Path) -> None:
    options = ["generate", str(tiny_generator), "--seed", "7", "--count", "5", "--out"]
    drawwell(*options, str(tmp_path / "x.tar"))
    command = [sys.executable, "-m", "drawwell", *options, "-"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout == (tmp_path / "x.tar").read_bytes()
    assert done.stderr == b"5 images of seed 7 on standard output\n"
    assert [file.name for file in tmp_path.iterdir()] == ["x.tar"]
    shell = f"set -o pipefail; {' '.join(command)} --count 100000 | head -c 1000"
    cut = subprocess.run(["bash", "-c", shell], capture_output=True, check=False)
    assert (cut.returncode, cut.stderr) == (141, b"")


def test_a_terminal_gets_no_images() -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "drawwell", "generate", "--count", "1", "--out", "-"]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, text=True) as process:
        assert "send it to a file or into a pipe" in process.communicate()[1]
    os.close(ours)
    os.close(theirs)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for name in (str(pipe), "/dev/zero", "/dev/null"):
        for command in ("verify", "info"):
            assert "is a pipe or a device, not a file" in said(capsys, command, name, code=1)


@pytest.mark.parametrize("command", ["train", "curves", "evaluate", "export", "serve"])
def test_windows_is_told_where_training_and_serving_run(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert run([command, "x"]) == 1
    assert capsys.readouterr().err == f"drawwell {command}: this command needs Linux or macOS: on Windows, use WSL\n"
