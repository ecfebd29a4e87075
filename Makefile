# The command surface of Logodex. `make` alone prints the targets.

RAW     ?=
DATASET ?= data/logodet3k
SPLIT   ?= default
SEED    ?= 42
CONFIG  ?= trainer/configs/contrastive_cosine.toml
RUN     ?= runs/$(basename $(notdir $(CONFIG)))
BUILD   ?= pipeline/configs/logodet3k.toml

CARGO := cargo
BIN   := target/release
DEMO  := data/demo

.DEFAULT_GOAL := help
.PHONY: help demo dataset splits audit train evaluate report test torture check schemas setup build python bench-data bench-eval
.SILENT: help

help: ## this list
	awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## fetch libtorch (543 MB, once, checksummed); a LIBTORCH already set is used instead
	@[ -n "$$LIBTORCH" ] || scripts/fetch_libtorch.sh

build: setup ## build the three programs in release mode
	$(CARGO) build --release --locked --workspace --bins

demo: build ## everything on generated data: tree, dataset, training, evaluation, report (at most 8 minutes)
	scripts/demo.sh $(BIN) $(DEMO) runs/demo

dataset: build ## RAW=…/LogoDet-3K [DATASET=…]: build, check and describe the dataset
	@[ -n "$(RAW)" ] || { echo "make dataset needs RAW=<folder that holds LogoDet-3K>" >&2; exit 2; }
	$(BIN)/logodex-data build --raw "$(RAW)" --out "$(DATASET)" --config $(BUILD)
	$(BIN)/logodex-data check "$(DATASET)"
	$(BIN)/logodex-data stats "$(DATASET)" --out runs/dataset

audit: build ## RAW=…: the consolidation plan alone, for reading, in plan.json
	@[ -n "$(RAW)" ] || { echo "make audit needs RAW=<folder that holds LogoDet-3K>" >&2; exit 2; }
	$(BIN)/logodex-data plan --raw "$(RAW)" --out plan.json

splits: build ## [SEED=42 SPLIT=default]: draw a brand-wise split
	$(BIN)/logodex-data split --dataset "$(DATASET)" --name $(SPLIT) --seed $(SEED)

train: build ## CONFIG=trainer/configs/….toml [SPLIT=… RUN=runs/…]: train, or continue a run that was stopped
	$(BIN)/logodex-train fit --dataset "$(DATASET)" --split $(SPLIT) --config $(CONFIG) --run $(RUN) --resume

evaluate: build ## [RUN=runs/…]: judge a run on the test brands
	$(BIN)/logodex-train evaluate --dataset "$(DATASET)" --split $(SPLIT) --run $(RUN) --out $(RUN)

report: build ## gather every evaluated run in runs/ into runs/report
	$(BIN)/logodex-train report --out runs/report $$(ls -d runs/dataset 2>/dev/null) $$(ls -d runs/*/evaluation.json | xargs -n1 dirname)

# A change of the requirements makes the environment anew.
PYTHON := target/python
STAMP  := $(PYTHON)/requirements-$(firstword $(shell cksum tests/python/requirements.txt))

$(STAMP):
	rm -rf $(PYTHON)
	python3 -m venv $(PYTHON)
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
	touch $@

python: $(STAMP) ## the Python libraries that the tests read our files with, in target/python

test: setup python ## every test
	$(CARGO) build --release --locked --workspace --bins
	LOGODEX_PYTHON=$(CURDIR)/$(PYTHON)/bin/python $(CARGO) test --release --locked --workspace

torture: setup python ## every fault at full length: 100 kills, 1,000 flipped bits, 400,000 damaged files
	$(CARGO) build --release --locked --workspace --bins
	LOGODEX_TORTURE=1 LOGODEX_HOSTILE_N=40 $(CARGO) test --release --locked --workspace --test promises --test hostile -- --nocapture

check: setup ## formatting and lints, warnings refused
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

schemas: ## write schemas/json and schemas/xsd anew from the code
	LOGODEX_WRITE_SCHEMAS=1 $(CARGO) test --release --locked -p logodex-schemas --test json_schemas

bench-data: build ## the dataset engine beside Pillow, OpenCV, torchvision, memmap, streaming and Lance
	scripts/bench_data.sh $(BIN) target/bench-data

bench-eval: setup ## [BENCH_PYTHON=python3]: exact retrieval of 60,000 embeddings, and beside PyTorch and pytorch-metric-learning
	scripts/bench_eval.sh target/bench-eval $(or $(BENCH_PYTHON),python3)
