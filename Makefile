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
MARKS ?= real

.DEFAULT_GOAL := help
.PHONY: help demo real-logos dataset splits audit train evaluate sweep-demo learning-demo learning-better transfer report test torture check schemas setup build python wheel bench-data bench-train bench-eval bench-gallery bench-scenes bench-serve bench-python serve cuda-kit cuda-check cuda-bench
.SILENT: help

help: ## this list
	awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## fetch libtorch and ONNX Runtime (543 and 24 MB, once, checksummed); LIBTORCH and ORT_DYLIB_PATH already set are used instead
	@[ -n "$$LIBTORCH" ] || scripts/fetch_libtorch.sh
	@[ -n "$$ORT_DYLIB_PATH" ] || scripts/fetch_onnxruntime.sh

build: setup ## build the five programs in release mode
	$(CARGO) build --release --locked --workspace --bins

demo: build ## [MARKS=real|generated]: everything on pictures of real brand marks: tree, dataset, training, evaluation, report, and naming brands never seen (at most 8 minutes)
	scripts/demo.sh $(BIN) $(DEMO) runs/demo $(MARKS)

real-logos: ## fetch packages with thousands of real brand marks (24 MB, once, checksummed) and gather them in data/marks
	$(CARGO) build --release --locked -p logodex-fixtures
	$(BIN)/logodex-fixtures marks --packages "$$(scripts/fetch_real_logos.sh)" --out data/marks

dataset: build ## RAW=…/LogoDet-3K [DATASET=… PLAN=… OVERRIDES=…]: build, check and describe the dataset
	@[ -n "$(RAW)" ] || { echo "make dataset needs RAW=<folder that holds LogoDet-3K>" >&2; exit 2; }
	$(BIN)/logodex-data build --raw "$(RAW)" --out "$(DATASET)" --config $(BUILD) $(if $(PLAN),--plan "$(PLAN)") $(if $(OVERRIDES),--overrides "$(OVERRIDES)")
	$(BIN)/logodex-data check "$(DATASET)"
	$(BIN)/logodex-data stats "$(DATASET)" --out runs/dataset

audit: build ## RAW=… [OVERRIDES=… SERVE=1]: the clean-up as a page to look at and to answer on, in runs/audit
	@[ -n "$(RAW)" ] || { echo "make audit needs RAW=<folder that holds LogoDet-3K>" >&2; exit 2; }
	$(BIN)/logodex-data audit --raw "$(RAW)" --out runs/audit --config $(BUILD) $(if $(OVERRIDES),--overrides "$(OVERRIDES)") $(if $(SERVE),--serve)

splits: build ## [SEED=42 SPLIT=default]: draw a brand-wise split
	$(BIN)/logodex-data split --dataset "$(DATASET)" --name $(SPLIT) --seed $(SEED)

train: build ## CONFIG=trainer/configs/….toml [SPLIT=… RUN=runs/…]: train, or continue a run that was stopped
	$(BIN)/logodex-train fit --dataset "$(DATASET)" --split $(SPLIT) --config $(CONFIG) --run $(RUN) --resume-or-start

evaluate: build ## [RUN=runs/…]: judge a run on the test brands
	$(BIN)/logodex-train evaluate --dataset "$(DATASET)" --split $(SPLIT) --run $(RUN) --out $(RUN)

sweep-demo: build ## the paper's section 4 at demo scale, from ImageNet weights on real marks: every experiment, judged, in runs/section4/sweep.md
	scripts/fetch_weights.sh efficientnet_lite0
	scripts/demo_data.sh $(BIN) $(DEMO) real
	$(BIN)/logodex-train sweep --dataset $(DEMO)/dataset --split demo --out runs/section4 --evaluate --configs trainer/configs/sweep/demo_section4/*.toml

learning-demo: build ## on generated marks, from noise: mAP on unseen brands per training image, the paper's recipe beside P×K and proxies
	scripts/demo_data.sh $(BIN) data/demo_generated generated
	$(BIN)/logodex-train sweep --dataset data/demo_generated/dataset --split demo --out runs/learning_per_image --configs trainer/configs/learning_per_image/*.toml
	$(BIN)/logodex-train curve --dataset data/demo_generated/dataset --split demo --out runs/learning_per_image $(addprefix runs/learning_per_image/,paper_contrastive paper_triplet pk_multi_similarity proxy_anchor)

learning-better: build ## what the field has learnt since, key by key, three seeds each, on the demo's real marks: runs/learning_better/sweep.md
	scripts/fetch_weights.sh efficientnet_lite0
	scripts/demo_data.sh $(BIN) $(DEMO) real
	$(BIN)/logodex-train sweep --dataset $(DEMO)/dataset --split demo --out runs/learning_better --seeds 3 --evaluate --configs trainer/configs/learning_better/*.toml
	rm -rf runs/learning_better/features

transfer: build ## trained on generated marks and judged on real ones, and the other way round: runs/transfer
	scripts/fetch_weights.sh efficientnet_lite0
	scripts/transfer.sh $(BIN) $(DEMO) data/demo_generated runs/transfer

report: build ## gather every evaluated run in runs/ into runs/report
	$(BIN)/logodex-train report --out runs/report $$(ls -d runs/dataset 2>/dev/null) $$(ls -d runs/*/evaluation.json | xargs -n1 dirname)

serve: build ## [GALLERY=runs/demo/gallery]: a gallery in the browser, at http://127.0.0.1:8080/
	@[ -d "$(or $(GALLERY),runs/demo/gallery)" ] || { echo "make serve needs a gallery: GALLERY=<directory>, or that of make demo" >&2; exit 2; }
	$(BIN)/logodex serve --gallery "$(or $(GALLERY),runs/demo/gallery)"

# A change of the requirements makes the environment anew.
PYTHON := target/python
STAMP  := $(PYTHON)/requirements-$(firstword $(shell cksum tests/python/requirements.txt))

$(STAMP):
	rm -rf $(PYTHON)
	python3 -m venv $(PYTHON)
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
	touch $@

python: $(STAMP) ## the Python libraries that the tests read our files with, in target/python

wheel: ## target/wheels: the Python package `logodex`, for Python 3.9 or newer; without libtorch
	scripts/wheel.sh target/wheels

test: setup python ## every test
	$(CARGO) build --release --locked --workspace --bins
	LOGODEX_PYTHON=$(CURDIR)/$(PYTHON)/bin/python $(CARGO) test --release --locked --workspace --no-fail-fast
	LOGODEX_PYTHON=$(CURDIR)/$(PYTHON)/bin/python scripts/test_ignored.sh
	scripts/test_python.sh "$$(scripts/wheel.sh target/wheels)"

torture: setup python ## every fault at full length: 100 kills, 1,000 flipped bits, 440,000 damaged files, 1,000,000 beside libjpeg
	$(CARGO) build --release --locked --workspace --bins
	LOGODEX_TORTURE=1 LOGODEX_HOSTILE_N=40 $(CARGO) test --release --locked --workspace --test promises --test hostile -- --nocapture
	$(CARGO) test --release --locked --workspace --test libjpeg -- --nocapture --include-ignored
	LOGODEX_PYTHON=$(CURDIR)/$(PYTHON)/bin/python scripts/test_ignored.sh

check: setup ## formatting and lints, warnings refused
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

schemas: ## write schemas/json and schemas/xsd anew from the code
	LOGODEX_WRITE_SCHEMAS=1 $(CARGO) test --release --locked -p logodex-schemas --test json_schemas

bench-data: build ## the dataset engine beside Pillow, OpenCV, torchvision, memmap, streaming and Lance; the audit beside CleanVision
	scripts/bench_data.sh $(BIN) target/bench-data

bench-train: build ## feeding and stepping beside PyTorch's DataLoader and Pillow, on the CPU (at most 8 minutes)
	scripts/bench_train.sh $(BIN) target/bench-train

cuda-kit: build ## target/cuda-kit: what a CUDA machine needs beside Python with torch 2.11.0, to check and to time it
	scripts/cuda_kit.sh $(BIN) target/cuda-kit

cuda-check: cuda-kit ## on a CUDA machine: is what it computes right? [PYTHON=… or LIBTORCH=…: torch 2.11.0]
	RESULTS=runs/cuda target/cuda-kit/run.sh check

cuda-bench: cuda-kit ## on a CUDA machine: images/s beside PyTorch, 8 minutes at most
	RESULTS=runs/cuda target/cuda-kit/run.sh bench

bench-eval: ## [BENCH_PYTHON=python3]: exact retrieval of 60,000 embeddings, and beside PyTorch and pytorch-metric-learning
	scripts/bench_eval.sh target/bench-eval $(or $(BENCH_PYTHON),python3)

bench-gallery: ## [LARGE=10000000 POSTGRES=postgres://…]: exact search of 100,000 brands beside faiss and usearch, of LARGE from a mapped file, and in a database
	POSTGRES="$(POSTGRES)" scripts/bench_gallery.sh target/bench-gallery 2 $(or $(LARGE),10000000)

bench-scenes: ## [DEMO data and runs of make demo]: logos in whole scenes by tiles, beside the whole picture and the true boxes
	python3 scripts/bench_scenes.py $(BIN)/logodex runs/demo/model.onnx $(DEMO)/pictures target/bench-scenes

bench-serve: ## [MODEL=runs/demo/model.onnx]: the server beside the model that it serves: latency, requests/s, what batching gains
	scripts/bench_serve.sh "$(or $(MODEL),runs/demo/model.onnx)" target/bench-serve

bench-python: build ## [BENCH_PYTHON=python3]: batches for PyTorch beside WebDataset, streaming, datasets and files; the judge beside its peer
	scripts/bench_python.sh $(BIN) target/bench-python-package "$$(scripts/wheel.sh target/wheels)" $(or $(BENCH_PYTHON),python3)
