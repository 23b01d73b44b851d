"""The tables of certificates of generators that saw few real images."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.quality import certificates
from benchmarks.quality.certificates import DATA_SETS, Case, tables
from drawwell.files.certified import Accuracy, Uplift
from drawwell_train.certify import certificate
from drawwell_train.certify.certificate import Certificate

pytestmark = pytest.mark.quick

PUBLISHED = certificate.read(report.RESULTS / "certificate-fashion-mixture.json")


def certified(real: float, both: float, helps: bool) -> Certificate:
    rows = [
        Uplift(
            share,
            round(1000 * share),
            Accuracy(real, 0.01),
            Accuracy(both, 0.01),
            0.5,
            helps,
            "Shirt",
            0.0,
            Accuracy(0.70, 0.01),
            Accuracy(0.73, 0.01),
        )
        for share in certificates.SHARES
    ]
    return replace(
        PUBLISHED,
        rows=tuple(rows),
        copying=0.5,
        worth_images=70 if helps else None,
    )


def test_the_owner_of_few_images_sees_the_gain_of_each_generator() -> None:
    found = {
        Case(DATA_SETS[0], 0.05, 0).name: certified(0.80, 0.82, helps=True),
        Case(DATA_SETS[0], 0.05, 1).name: certified(0.80, 0.79, helps=False),
    }
    written = tables(found)
    assert "| 50 images (5 %) | 2 | 80.0% | 81.9% | 80.5% | +2.0 (helps), -1.0 | +3.0, +3.0 | 50% |" in written
    assert "| 5 % | +0.5 | +0.5 | +0.5 | +0.5 | 70; more than 1,000 |" in written
    assert "CIFAR-10" not in written, "nothing of it is measured"


def test_a_case_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command is named until its result is there."""
    monkeypatch.setattr(certificates, "RUNS", tmp_path)
    case = Case(DATA_SETS[1], 0.1, 1)
    assert [command[0] for command in case.missing(tmp_path)] == ["certify", "train", "certify"]
    (tmp_path / "cifar-0.1.npz").touch()
    monkeypatch.setattr(certificates, "last_step", lambda _: certificates.STEPS)
    (last,) = case.missing(tmp_path)
    assert last[:2] == ["certify", str(tmp_path / "cifar-0.1-seed1")]
    case.certificate.parent.mkdir()
    certificate.write(case.certificate, PUBLISHED)
    assert not list(case.missing(tmp_path))
