"""What drawn images give to somebody with few real ones, for the guide: ``python -m benchmarks.quality.certificates --data DATA``.

Of each data set generators learn from 1, 5, 10 and 100 % of the real images, with two seeds, and each is certified. All of it goes on
where it stopped. ``--page`` only writes the tables again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import msgspec

from benchmarks import report
from benchmarks.pages import ROOT, replace_section
from benchmarks.quality.experiments import find, prepare
from benchmarks.quality.measuring import last_step
from drawwell.files.certified import Uplift
from drawwell_train.certify.certificate import Certificate, read

NAME = "certificates"
PAGE = ROOT / "docs" / "guides" / "augment.md"
RUNS = Path("runs", NAME)
SHARES = 0.01, 0.05, 0.1, 1.0
SEEDS = 0, 1
STEPS = 6_000

Certificates = dict[str, Certificate]
"""By ``Case.name``."""


@dataclass(frozen=True)
class DataSet:
    """Real images to learn from and to test with, and the options of trainings and certificates."""

    name: str
    title: str
    data: str
    test: str
    options: tuple[str, ...] = ()


DATA_SETS = (
    DataSet("fashion", "Fashion-MNIST", "fashion-mnist.npz", "fashion-mnist-test.npz"),
    DataSet("cifar", "CIFAR-10", "cifar-10-batches-bin", "cifar-10-batches-bin/test_batch.bin.gz", ("--flip",)),
)


@dataclass(frozen=True)
class Case:
    """One generator and its certificate."""

    data_set: DataSet
    share: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.data_set.name}-{self.share:g}-seed{self.seed}"

    @property
    def certificate(self) -> Path:
        return RUNS / f"{self.name}-certificate" / "certificate.json"

    def missing(self, root: Path) -> Iterator[list[str]]:
        """Yield what ``drawwell`` is still to be called with, one after the other is done."""
        data, test = (str(find(root, name)) for name in (self.data_set.data, self.data_set.test))
        part, run = RUNS / f"{self.data_set.name}-{self.share:g}.npz", RUNS / self.name
        if not part.exists():
            yield ["certify", "--data", data, "--write-share", f"{self.share:g}", "--out", str(part)]
        few = () if self.share == 1 else ("--diffaugment",)
        training = "--steps", str(STEPS), "--threads", "1", "--seed", str(self.seed), "--conditional", *few
        options = self.data_set.options
        if last_step(run) < STEPS:
            yield ["train", str(part), "--out", str(run), *training, *options, "--log-every", "200"]
        shares = [f"{share:g}" for share in SHARES]
        kept = "--classifiers", str(RUNS / f"{self.data_set.name}-classifiers"), "--out", str(self.certificate.parent)
        measures = "--data", data, "--test", test, "--quick", "--threads", "1", "--shares", *shares
        if not self.certificate.exists():
            yield ["certify", str(run), *measures, *options, *kept]


def cases() -> Iterator[Case]:
    """Yield every case, the seeds of one share together."""
    for data_set in DATA_SETS:
        for share in SHARES:
            for seed in SEEDS:
                yield Case(data_set, share, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="the folder with mnist, fashion-mnist, cifar-10-batches-bin, twemoji64"
    )
    parser.add_argument("--only", nargs="*", default=[""], help="run only cases whose names begin with one of these")
    parser.add_argument("--page", action="store_true", help="only write the tables again")
    options = parser.parse_args()
    if options.data is None and not options.page:
        parser.error("give --data, or --page")
    if not options.page:
        prepare(options.data)
        for case in cases():
            if case.name.startswith(tuple(options.only)):
                carry_out(case, options.data)
                publish()
    write_page()


def carry_out(case: Case, root: Path) -> None:
    """Run what is not done yet. Raises ``CalledProcessError``."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for command in case.missing(root):
        print(f"{case.name}: drawwell {' '.join(command)}", flush=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "drawwell", *command], check=True, env=environment)


def publish() -> None:
    """Write the certificates that there are into the results."""
    found = {case.name: _published(case) for case in cases() if case.certificate.exists()}
    report.write(NAME, {"steps": STEPS, "certificates": msgspec.to_builtins(found)})


def _published(case: Case) -> Certificate:
    """The certificate with its real images by the names that they have in every folder of data."""
    certificate = read(case.certificate)
    return replace(certificate, options=replace(certificate.options, data=case.data_set.data, test=case.data_set.test))


def write_page() -> None:
    content = msgspec.json.decode((report.RESULTS / f"{NAME}.json").read_bytes())
    found = msgspec.convert(content["certificates"], Certificates)
    replace_section(PAGE, NAME, f"benchmarks/results/{NAME}.json", tables(found))


def tables(found: Certificates) -> str:
    """Two tables of each data set: its owner's view, and the gain of each generator beside more real images."""
    lines: list[str] = []
    for data_set in DATA_SETS:
        by_share = {share: _of(found, data_set, share) for share in SHARES}
        rows = {share: certificates for share, certificates in by_share.items() if certificates}
        if rows:
            lines += [f"**{data_set.title}**", "", *_owners(rows), "", *_gains(rows), ""]
    return "\n".join(lines)


def _of(found: Certificates, data_set: DataSet, share: float) -> list[Certificate]:
    names = [Case(data_set, share, seed).name for seed in SEEDS]
    return [found[name] for name in names if name in found]


def _owners(rows: dict[float, list[Certificate]]) -> list[str]:
    heading = (
        "the generator learned from",
        "generators",
        "real only",
        "drawn only",
        "real + drawn",
        "gain of each, points",
        "with the second architecture",
        "copying",
    )
    return [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|", *(_owner(*row) for row in rows.items())]


def _owner(share: float, certificates: Sequence[Certificate]) -> str:
    """Classifiers learn from the same real images as the generator."""
    own = [next(row for row in one.rows if row.share == share) for one in certificates]
    gains = (_points(row.both.mean - row.real.mean) + (" (helps)" if row.helps else "") for row in own)
    second = (_points(_second_gain(row)) for row in own)
    cells = (
        f"{own[0].real_images:,} images ({100 * share:g} %)",
        f"{len(own)}",
        f"{mean(row.real.mean for row in own):.1%}",
        f"{mean(one.drawn.mean for one in certificates):.1%}",
        f"{mean(row.both.mean for row in own):.1%}",
        ", ".join(gains),
        ", ".join(second),
        f"{mean(one.copying for one in certificates):.0%}",
    )
    return f"| {' | '.join(cells)} |"


def _second_gain(row: Uplift) -> float:
    assert row.second_real is not None and row.second_both is not None, "this version measures every row"
    return row.second_both.mean - row.second_real.mean


def _gains(rows: dict[float, list[Certificate]]) -> list[str]:
    drawn = next(iter(rows.values()))[0].inputs.images
    heading = (
        "the generator learned from",
        *(f"{100 * share:g} % real" for share in SHARES),
        f"real images that {drawn:,} drawn ones are worth",
    )
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    for share, certificates in rows.items():
        gains = [_mean_gain(certificates, place) for place in range(len(SHARES))]
        worth = "; ".join(dict.fromkeys(_worth(one) for one in certificates))
        lines.append(f"| {100 * share:g} % | {' | '.join(gains)} | {worth} |")
    return lines


def _mean_gain(certificates: Sequence[Certificate], place: int) -> str:
    rows = [one.rows[place] for one in certificates]
    return _points(mean(row.both.mean - row.real.mean for row in rows))


def _points(gain: float) -> str:
    return f"{round(100 * gain, 1) + 0.0:+.1f}"  # no -0.0


def _worth(one: Certificate) -> str:
    if one.worth_images is not None:
        return f"{one.worth_images:,}"
    fewest, most = one.rows[0], one.rows[-1]
    below = one.drawn.mean < fewest.real.mean
    return f"fewer than {fewest.real_images:,}" if below else f"more than {most.real_images:,}"


if __name__ == "__main__":
    main()
