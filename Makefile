# Every target makes its own .venv from nothing. GENERATOR, PORT and PYTHON may be given: make serve PORT=8080
PYTHON ?= python3
GENERATOR ?= fashion
PORT ?= 3000
MINUTES ?= 600
PROVIDER ?= cuda

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
OLDEST_NUMPY := 'import sys; print("2.0.0" if sys.version_info < (3, 13) else "2.1.0" if sys.version_info < (3, 14) else "2.3.2")'
export BENTOML_DO_NOT_TRACK ?= True

.PHONY: help serve test test-quick test-numpy test-wheel test-gpu torture torture-train lint train bench bench-engine bench-train bench-serve bench-gpu results bento clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

.venv/serve: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("drawwell needs Python 3.11 or newer, not " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[cpu,serve]'
	@touch $@

.venv/all: .venv/serve
	$(PIP) --editable '.[cpu,serve,train,eval,export,digits,hf,ray,watch,dev]'
	@touch $@

.venv/docs: .venv/all
	$(PIP) --editable '.[cpu,serve,train,eval,export,digits,hf,ray,watch,dev,docs]'
	@touch $@

.venv/bench: .venv/all
	$(PIP) --editable '.[cpu,serve,train,eval,export,digits,hf,ray,watch,dev,bench]'
	@touch $@

# onnxruntime-gpu and onnxruntime exclude each other
.venv-gpu/all: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[gpu,serve,train,eval,export,digits,hf,ray,watch,dev]'
	@touch $@

.venv-gpu/bench: .venv-gpu/all
	.venv-gpu/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[gpu,serve,train,eval,export,digits,hf,ray,watch,dev,bench]'
	@touch $@

serve: .venv/serve  ## serve the bundled generator fashion, or GENERATOR=emoji or a file, at http://127.0.0.1:3000 or PORT
	$(BIN)/drawwell serve '$(GENERATOR)' --port $(PORT)

test: .venv/all  ## run all tests, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-quick: .venv/all  ## run the tests without servers and trainings, in less than a minute
	$(BIN)/python -m pytest -n 2 --dist loadfile -m quick

test-numpy: .venv/all  ## draw the known addresses with the oldest numpy that has a wheel, and with the newest
	directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT INT TERM \
	&& for numpy in "numpy==$$($(BIN)/python -c $(OLDEST_NUMPY))" numpy; do \
		export PYTHONPATH="$$directory/$$numpy$${PYTHONPATH:+:$$PYTHONPATH}" \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target "$$directory/$$numpy" "$$numpy" \
		&& $(BIN)/python -c 'import numpy; print("numpy", numpy.__version__, "in", numpy.__file__)' \
		&& $(BIN)/python -m pytest tests/drawwell/addresses || exit 1; \
	done

test-wheel: .venv/all  ## build the wheel, install it alone in an empty environment, draw and serve from there
	directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT INT TERM \
	&& $(BIN)/python -m build --wheel --no-isolation --outdir "$$directory" >"$$directory/log" \
	&& $(BIN)/python -m venv "$$directory/venv" \
	&& "$$directory/venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		"$$(ls "$$directory"/*.whl)[cpu,serve]" \
	&& DRAWWELL_INSTALLED="$$directory/venv/bin" $(BIN)/python -m pytest tests/e2e/test_wheel.py

test-gpu: .venv-gpu/all  ## run the tests that need a CUDA device
	.venv-gpu/bin/python -m pytest -m gpu

torture: .venv/all  ## keep every promise under load, with full counts, in an hour or so, and write docs/reports/promises.md
	DRAWWELL_TORTURE=1 $(BIN)/python -m pytest tests/torture
	$(BIN)/python -m benchmarks.promises

torture-train: .venv/all  ## the trainer's part of it, in a quarter of an hour: kills, full disks, damage; needs strace
	DRAWWELL_TORTURE=1 $(BIN)/python -m pytest tests/torture/train
	$(BIN)/python -m benchmarks.promises

BIOME := --error-on-warnings --skip=suspicious/noAssignInExpressions --skip=suspicious/useIterableCallbackReturn \
	$(wildcard serve/drawwell_serve/http/static/*.js train/drawwell_train/*/static/*.js)

lint: .venv/all docs  ## ruff, mypy, the modules of the pages of serve, watch and play, and the site of the documentation, in which a warning is an error
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	if command -v npx >/dev/null; then npx --yes --package typescript@5.9.3 tsc && npx --yes @biomejs/biome@2.3.8 lint $(BIOME); \
		else echo 'no npx: the modules of the pages are not checked'; fi

.PHONY: docs
docs: .venv/docs  ## build the documentation as a site in build/site, which needs no network
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs -d build/doctrees . build/site

train: .venv/all  ## train on 5,000 real digits for a few minutes, export, and draw a sheet
	$(BIN)/drawwell train digits --steps 3000
	$(BIN)/drawwell export runs/digits
	$(BIN)/drawwell generate runs/digits/generator.onnx --seed 7 --count 64 --out runs/digits/sheet.png

bench: .venv/all  ## measure the address book; all benches need a machine with nothing else running
	$(BIN)/python -m benchmarks.latents
	@echo 'the engine: make bench-engine; the server beside two peers, in a quarter of an hour: make bench-serve'

bench-engine: .venv/all  ## measure the engine beside the plain export, and write the README's table
	$(BIN)/python -m benchmarks.engine

bench-train: .venv/all  ## measure training beside a plain loop, and where a step's time goes, in a few minutes
	$(BIN)/python -m benchmarks.train

bench-serve: .venv/bench  ## measure the server beside two peers; needs wrk
	$(BIN)/python -m benchmarks.serving

results: .venv/all  ## train and measure what docs/reports/quality.md shows, from DATA=folder, for MINUTES at most; goes on where it stopped
	@test -d '$(DATA)' || { echo "make results DATA=folder with mnist, fashion-mnist, cifar-10-batches-bin and twemoji64"; exit 2; }
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.quality --data '$(DATA)' --minutes $(MINUTES)

bench-gpu: .venv-gpu/bench  ## measure on a CUDA device; each of the three takes --short
	.venv-gpu/bin/python -m benchmarks.gpu
	.venv-gpu/bin/python -m benchmarks.train --device cuda
	.venv-gpu/bin/python -m benchmarks.serving --provider cuda

bento: .venv/serve  ## build a bento with GENERATOR=file in it; PROVIDER=cpu spares the CUDA libraries, 1.6 GB
	@case '$(PROVIDER)' in cpu|cuda) ;; *) echo "PROVIDER is cuda, which serves on CPUs too, or cpu"; exit 2 ;; esac
	@test -f '$(GENERATOR)' || { echo "make bento GENERATOR=path/to/generator.onnx [PROVIDER=cpu]"; exit 2; }
	'$(BIN)/drawwell' info '$(GENERATOR)'
	directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT INT TERM \
	&& cp -R bentofile.yaml README.md drawwell serve "$$directory" \
	&& cp '$(GENERATOR)' "$$directory/serve/drawwell_serve/generator.onnx" \
	&& judge=$$('$(BIN)/python' -c 'import sys, pathlib; from drawwell.files.discriminator_file import discriminator_beside as beside; \
		print(beside(pathlib.Path(sys.argv[1])))' '$(GENERATOR)') \
	&& { ! test -f "$$judge" || cp "$$judge" "$$directory/serve/drawwell_serve/discriminator.onnx"; } \
	&& { test '$(PROVIDER)' = cuda || sed -i.gpu 's/onnxruntime-gpu\[.*\]/onnxruntime/' "$$directory/bentofile.yaml"; } \
	&& bin=$$(cd '$(BIN)' && pwd) && cd "$$directory" && "$$bin/bentoml" build

clean:  ## remove .venv and whatever was built; runs/ stays
	rm -rf .venv .venv-gpu build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
