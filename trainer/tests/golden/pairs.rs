//! Losses over pairs, miners and the cross-batch memory against pytorch-metric-learning.

use logodex_schemas::train::{LossConfig, MemoryConfig, MinerConfig, SamplerKind, TrainConfig};
use logodex_trainer::config;
use logodex_trainer::loss::cross_batch_memory::CrossBatchMemory;
use logodex_trainer::loss::distance::{Measure, cosines, distances, l2_normalize};
use logodex_trainer::loss::miner::{Labels, distance_weights, mine};
use logodex_trainer::loss::objective::Targets;
use logodex_trainer::loss::pair_losses;
use logodex_trainer::loss::selection::Selection;
use logodex_trainer::runtime::Runtime;
use logodex_trainer::train::Learner;
use tch::{Device, Kind, Tensor};

use crate::{assert_close, centred, golden};

pub const LABELS: [i64; 24] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6,
];
const BATCH: i64 = 24;
pub const DIM: i64 = 16;
pub const CLASSES: i64 = 8;

/// The batch of `make_golden_pairs.py`.
pub fn batch(name: &str) -> Tensor {
    let centres = centred("centres", &[CLASSES, DIM], 1.0);
    centres.index_select(0, &Tensor::from_slice(&LABELS)) * 0.6 + centred(name, &[BATCH, DIM], 1.0)
}

fn selected(miner: &MinerConfig, x: &Tensor, labels: &Tensor) -> Selection {
    let own = Tensor::arange(x.size()[0], (Kind::Int64, Device::Cpu));
    let labels = Labels {
        anchors: labels,
        references: labels,
        own: &own,
        photographs: None,
    };
    mine(miner, |measure| measure.between(x, x), DIM, labels, (7, 0))
}

const MINERS: [(&str, MinerConfig); 4] = [
    ("none", MinerConfig::None),
    ("batch_hard", MinerConfig::BatchHard),
    ("semi_hard", MinerConfig::SemiHard { margin: 0.2 }),
    (
        "multi_similarity",
        MinerConfig::MultiSimilarity { epsilon: 0.1 },
    ),
];

/// The loss of this name in the golden file over `x` and its references.
fn pair_loss(name: &str, x: &Tensor, references: &Tensor, selection: &Selection) -> Tensor {
    let cosines = cosines(x, references);
    match name {
        "multi_similarity" => pair_losses::multi_similarity(&cosines, selection, (2.0, 50.0, 0.5)),
        "sup_con" => pair_losses::sup_con(&cosines, selection, 0.1),
        "circle" => pair_losses::circle(&cosines, selection, 0.25, 8.0),
        "contrastive_cosine" => pair_losses::contrastive_cosine(&cosines, selection, 0.2),
        "contrastive_euclidean" => {
            pair_losses::contrastive_euclidean(&distances(x, references), selection, 1.0)
        }
        other => panic!("{other}"),
    }
}

#[track_caller]
pub fn check(tag: &str, value: &Tensor, leaves: &[&Tensor]) {
    let golden = golden("pairs");
    let expected = &golden[&format!("{tag}.value")];
    assert_close(&value.detach(), expected, 1e-5, tag);
    value.backward();
    for (index, leaf) in leaves.iter().enumerate() {
        let expected = &golden[&format!("{tag}.grad{index}")];
        assert_close(&leaf.grad(), expected, 1e-5, &format!("{tag} {index}"));
    }
}

pub fn leaf(x: &Tensor) -> Tensor {
    x.detach().copy().set_requires_grad(true)
}

#[test]
fn miners_select_what_pytorch_metric_learning_selects() {
    let golden = golden("pairs");
    let (x, labels) = (l2_normalize(&batch("batch")), Tensor::from_slice(&LABELS));
    for (name, miner) in MINERS {
        let (positive, negative) = selected(&miner, &x, &labels).pairs();
        assert_eq!(
            positive,
            golden[&format!("miner.{name}.positive")],
            "{name}"
        );
        assert_eq!(
            negative,
            golden[&format!("miner.{name}.negative")],
            "{name}"
        );
    }
    let triplets = Tensor::zeros([BATCH, BATCH, BATCH], (Kind::Bool, Device::Cpu));
    let semi_hard = MinerConfig::SemiHard { margin: 0.2 };
    selected(&semi_hard, &x, &labels).for_each(|anchor, positive, negatives| {
        let at = [Some(anchor.shallow_clone()), Some(positive.shallow_clone())];
        let _ = triplets.shallow_clone().index_put_(&at, negatives, false);
    });
    assert_eq!(triplets, golden["miner.semi_hard.triplets"]);
}

/// A learner on the CPU with the configuration of its loss, given as TOML, and of these further lines. Without weights of
/// the loss, what embeddings cost is decided by the configuration that [`Learner::loss`] is given.
pub fn learner(loss: &str, more: &str) -> (Learner, TrainConfig) {
    let text = format!(
        "[model]\narch = \"resnet18\"\nhead = \"linear\"\nembedding_dim = {DIM}\n[loss]\n{loss}\n[schedule]\nepochs = 1\n[runtime]\ndevice = \"cpu\"\nthreads = 1\n{more}"
    );
    let config = config::parse(text.as_bytes()).unwrap();
    let runtime = Runtime::start(&config.runtime).unwrap();
    let learner = Learner::new(&config, CLASSES as usize, &runtime).unwrap();
    (learner, config)
}

const SUP_CON: &str = "kind = \"sup_con\"\ntemperature = 0.1";

const MULTI_SIMILARITY: LossConfig = LossConfig::MultiSimilarity {
    alpha: 2.0,
    beta: 50.0,
    base: 0.5,
};

#[test]
fn pair_losses_equal_pytorch_metric_learning_with_every_miner() {
    let (x, labels) = (l2_normalize(&batch("batch")), Tensor::from_slice(&LABELS));
    let (mut learner, mut config) = learner(SUP_CON, "");
    let circle = |margin, gamma| LossConfig::Circle { margin, gamma };
    for (miner, miner_config) in MINERS {
        for (loss, loss_config) in [
            ("multi_similarity", MULTI_SIMILARITY),
            ("sup_con", LossConfig::SupCon { temperature: 0.1 }),
            ("circle", circle(0.25, 8.0)),
            ("circle_80", circle(0.4, 80.0)),
            (
                "contrastive_euclidean",
                LossConfig::ContrastiveEuclidean { margin: 1.0 },
            ),
            (
                "contrastive_cosine",
                LossConfig::ContrastiveCosine { margin: 0.2 },
            ),
        ] {
            (config.miner, config.loss) = (miner_config, loss_config);
            config.data.sampler = Some(SamplerKind::Pk);
            let x = leaf(&x);
            let cost = learner.loss(&config, &x, &labels, 0, 0);
            check(&format!("{loss}.{miner}"), &cost, &[&x]);
        }
        for margin in [0.2, 1.0] {
            config.loss = LossConfig::Triplet { margin };
            let x = leaf(&x);
            let cost = learner.loss(&config, &x, &labels, 0, 0);
            check(&format!("triplet.{miner}.{margin:?}"), &cost, &[&x]);
        }
    }
}

#[test]
fn two_crops_of_one_photograph_are_no_positives_where_that_is_asked() {
    let (x, labels) = (l2_normalize(&batch("batch")), Tensor::from_slice(&LABELS));
    // The first and the second picture are of one photograph, and so on.
    let photographs = Tensor::arange(BATCH, (Kind::Int64, Device::Cpu));
    let photographs = photographs.divide_scalar_mode(2, "floor");
    let same = labels.unsqueeze(1).eq_tensor(&labels.unsqueeze(0));
    let apart = photographs
        .unsqueeze(1)
        .ne_tensor(&photographs.unsqueeze(0));
    let by_hand = Selection::Pairs {
        positive: same.logical_and(&apart),
        negative: same.logical_not(),
    };
    let expected = pair_losses::multi_similarity(&cosines(&x, &x), &by_hand, (2.0, 50.0, 0.5));
    for memory in ["", "[memory]\nsize = 24\nstart_step = 0\n"] {
        let text =
            format!("[data]\nbatch = 24\nsampler = \"pk\"\nsame_photo_positives = false\n{memory}");
        let (mut learner, mut config) = learner(SUP_CON, &text);
        config.loss = MULTI_SIMILARITY;
        let targets = Targets {
            targets: &labels,
            photographs: Some(&photographs),
        };
        let loss = learner.loss(&config, &x, targets, 0, 0);
        assert_close(&loss, &expected, 1e-6, memory);
        let plain = learner.loss(&config, &x, &labels, 0, 0);
        assert!((plain - loss).abs().double_value(&[]) > 1e-3);
        // The memory of photographs goes with the rest.
        let state = learner.training_state();
        assert_eq!(
            state.get("memory.photographs"),
            (!memory.is_empty()).then_some(&photographs)
        );
        learner.load_training_state(state).unwrap();
    }
}

#[test]
fn negatives_are_drawn_with_the_probabilities_of_their_distances() {
    let (x, labels) = (l2_normalize(&batch("batch")), Tensor::from_slice(&LABELS));
    let distance = distances(&x, &x);
    let negative = labels
        .unsqueeze(1)
        .eq_tensor(&labels.unsqueeze(0))
        .logical_not();
    let weights = distance_weights(&distance, &negative, DIM, 0.5, 1.4);
    let expected = &golden("pairs")["miner.distance_weighted.weights"];
    assert_close(&weights, expected, 1e-5, "weights");

    let miner = MinerConfig::DistanceWeighted {
        cutoff: 0.5,
        nonzero_loss_cutoff: 1.4,
    };
    let own = Tensor::arange(BATCH, (Kind::Int64, Device::Cpu));
    let places = Labels {
        anchors: &labels,
        references: &labels,
        own: &own,
        photographs: None,
    };
    let counts = Tensor::zeros([BATCH, BATCH], (Kind::Double, Device::Cpu));
    let draws = 400;
    for number in 0..draws {
        let draw = || {
            let measured = |measure: Measure| measure.between(&x, &x);
            mine(&miner, measured, DIM, places, (7, number))
        };
        let drawn = draw();
        drawn.for_each(|anchor, positive, negatives| {
            let at = positive.unsqueeze(1);
            let own_label = labels.index_select(0, anchor);
            assert_eq!(labels.index_select(0, positive), own_label);
            assert!(negatives.gather(1, &at, false).any().int64_value(&[]) == 0);
            let _ = counts
                .shallow_clone()
                .index_add_(0, anchor, &negatives.to_kind(Kind::Double));
        });
        assert_eq!(drawn.pairs(), draw().pairs());
    }
    // Row 0 has three positives, so 1,200 draws: within five standard deviations everywhere.
    let (drawn, weights) = (counts.get(0) / 1200.0, weights.get(0).to_kind(Kind::Double));
    let deviation = (&weights * (-&weights + 1.0) / 1200.0).sqrt();
    let beyond = (&drawn - &weights).abs() - deviation * 5.0;
    assert!(beyond.max().double_value(&[]) <= 0.0, "{drawn} {weights}");
    assert_eq!(drawn.sum(Kind::Double).double_value(&[]), 1.0);
}

#[test]
fn the_memory_equals_pytorch_metric_learning_while_it_fills_and_turns() {
    for name in ["multi_similarity", "sup_con", "circle"] {
        for (miner, config) in [&MINERS[0], &MINERS[3]] {
            let mut memory = CrossBatchMemory::new(
                &MemoryConfig {
                    size: 60,
                    start_step: 0,
                },
                DIM,
                false,
                Device::Cpu,
            );
            for step in 0..4_i64 {
                let x = leaf(&l2_normalize(&batch(&format!("batch {step}"))));
                let labels = (Tensor::from_slice(&LABELS) + step).remainder(CLASSES);
                if step == 3 {
                    // A memory that was saved and loaded goes on alike.
                    let mut state = memory.state();
                    memory.load_state(&mut state).unwrap();
                    assert!(state.is_empty());
                }
                let past = memory.remember(&x, &labels, None, step as u64).unwrap();
                let places = Labels {
                    anchors: &labels,
                    references: &past.labels,
                    own: &past.own,
                    photographs: None,
                };
                let measured = |measure: Measure| measure.between(&x, &past.embeddings);
                let selection = mine(config, measured, DIM, places, (7, 0));
                let loss = pair_loss(name, &x, &past.embeddings, &selection);
                check(&format!("memory.{name}.{miner}.{step}"), &loss, &[&x]);
            }
        }
    }
}

#[test]
fn a_memory_waits_for_its_start_but_fills_before() {
    let config = MemoryConfig {
        size: 48,
        start_step: 1,
    };
    let mut memory = CrossBatchMemory::new(&config, DIM, false, Device::Cpu);
    let labels = Tensor::from_slice(&LABELS);
    assert!(memory.remember(&batch("a"), &labels, None, 0).is_none());
    let past = memory.remember(&batch("b"), &labels, None, 1).unwrap();
    assert_eq!(past.embeddings, Tensor::cat(&[batch("a"), batch("b")], 0));
    assert_eq!(
        past.own,
        Tensor::arange(24, (Kind::Int64, Device::Cpu)) + 24
    );
    let other = MemoryConfig { size: 49, ..config };
    let error =
        CrossBatchMemory::new(&other, DIM, false, Device::Cpu).load_state(&mut memory.state());
    assert!(error.unwrap_err().to_string().contains("memory"), "shape");
}

#[test]
fn a_batch_with_nothing_to_compare_costs_nothing_and_moves_nothing() {
    let names = [
        "multi_similarity",
        "sup_con",
        "circle",
        "contrastive_euclidean",
        "contrastive_cosine",
    ];
    // Every picture alone in its brand; all pictures of one brand: then SupCon and the others still pull.
    let alone = Tensor::arange(6, (Kind::Int64, Device::Cpu));
    let none = alone.zeros_like();
    let points = centred("batch", &[6, DIM], 1.0);
    for (miner, config) in MINERS {
        for (labels, what) in [(&alone, "alone"), (&none, "one brand")] {
            for name in names {
                let x = leaf(&points);
                let loss = pair_loss(name, &x, &x, &selected(&config, &x, labels));
                loss.backward();
                let finite = loss.isfinite().int64_value(&[]) == 1
                    && x.grad().isfinite().all().int64_value(&[]) == 1;
                assert!(finite, "{name} {miner} {what}");
            }
            let x = leaf(&points);
            let distance = distances(&x, &x);
            let loss = pair_losses::triplet(&distance, &selected(&config, &x, labels), 0.5);
            loss.backward();
            assert_eq!(loss.double_value(&[]), 0.0, "{miner} {what}");
            assert_eq!(x.grad().abs().max().double_value(&[]), 0.0);
        }
    }
}

/// The peak of this process's resident memory so far, bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn mining_4096_embeddings_takes_less_than_a_gigabyte() {
    const CHILD: &str = "LOGODEX_TEST_MINES";
    let name = "pairs::mining_4096_embeddings_takes_less_than_a_gigabyte";
    if std::env::var_os(CHILD).is_none() {
        // In a process of its own: the peak is the process's.
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    logodex_trainer::torch::set_threads(1);
    let n = 4096;
    let x = leaf(&l2_normalize(&centred("many", &[n, 128], 1.0)));
    let labels = Tensor::arange(n, (Kind::Int64, Device::Cpu)).divide_scalar_mode(8, "floor");
    let (mut learner, mut config) = learner(SUP_CON, "");
    config.data.sampler = Some(SamplerKind::Pk);
    let before = peak_bytes();
    let triplet = LossConfig::Triplet { margin: 0.2 };
    let weighted = MinerConfig::DistanceWeighted {
        cutoff: 0.5,
        nonzero_loss_cutoff: 1.4,
    };
    let similar = MinerConfig::MultiSimilarity { epsilon: 0.1 };
    for (miner, loss) in [
        (MinerConfig::SemiHard { margin: 0.2 }, triplet),
        (weighted, triplet),
        (similar, MULTI_SIMILARITY),
    ] {
        (config.miner, config.loss) = (miner, loss);
        learner.loss(&config, &x, &labels, 0, 0).backward();
    }
    assert!(x.grad().isfinite().all().int64_value(&[]) == 1);
    let taken = peak_bytes() - before;
    assert!(taken < 1_000_000_000, "{taken} bytes");
}
