//! Keys that users of PyTorch and of the tools around it are used to, and what stands for each of them here.

/// What is told of a key by its own name, of whatever table; nothing where it is no habit that is known.
pub(super) fn habit(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    Some(match name.as_str() {
        "workers" | "num_workers" | "n_workers" | "loader_workers" | "dataloader_workers"
        | "prefetch" | "prefetch_factor" | "persistent_workers" | "pin_memory" => {
            "there are no loader processes: pictures are read ahead by threads of the program itself; runtime.threads is the number of CPU threads"
        }
        "shuffle" => {
            "every epoch is drawn anew from seed and epoch; data.sampler says what is drawn"
        }
        "drop_last" => "a last, smaller batch is kept, and weighs by its samples",
        "dataloader" | "loader" => "batches are [data]",
        "learning_rate" | "base_lr" | "lr_base" => "it is optimizer.lr",
        "backbone_lr" | "lr_backbone" => "it is optimizer.backbone_factor, times optimizer.lr",
        "head_lr" | "lr_head" => "the head learns at optimizer.lr",
        "no_weight_decay" | "filter_bias_and_bn" | "bias_decay" | "norm_weight_decay" => {
            "it is optimizer.decay_norms_and_biases = false"
        }
        "bn_freeze" | "freeze_bn" | "norm_eval" => "it is model.freeze_batch_norm",
        "betas" | "beta1" | "beta2" | "adam_epsilon" => {
            "Adam's are PyTorch's defaults, 0.9, 0.999 and 1e-8, and fixed"
        }
        "gradient_clip_val" | "grad_clip" | "gradient_clip" | "max_grad_norm" | "max_norm" => {
            "it is optimizer.clip_norm"
        }
        "accumulate_grad_batches"
        | "gradient_accumulation_steps"
        | "accumulation_steps"
        | "grad_accum"
        | "accum_iter" => "it is optimizer.accumulate",
        "max_epochs" | "num_epochs" | "n_epochs" | "num_train_epochs" | "max_steps" => {
            "the length of a run is schedule.epochs"
        }
        "scheduler" | "lr_scheduler" | "sched" | "lr_schedule" | "t_max" | "eta_min" => {
            "it is schedule.lr = \"constant\", \"step\" or \"cosine\""
        }
        "step_size" | "milestones" | "decay_epochs" => {
            "it is schedule.step_epochs, with schedule.lr = \"step\""
        }
        "decay_rate" | "lr_gamma" => "it is schedule.step_factor, with schedule.lr = \"step\"",
        "warmup" | "warmup_epochs" | "num_warmup_steps" => "it is schedule.warmup_steps",
        "freeze_backbone" | "frozen_stages" | "freeze_layers" => {
            "it is schedule.freeze, the number of stages from the input on"
        }
        "patience" | "early_stopping" | "early_stop" => "it is checkpoint.patience_epochs",
        "save_every" | "save_freq" | "save_interval" | "checkpoint_interval" => {
            "it is checkpoint.every_epochs or checkpoint.every_steps"
        }
        "ema_decay" | "model_ema" | "model_ema_decay" => "it is the table [ema] with its decay",
        "amp" | "use_amp" | "fp16" | "bf16" | "half" | "mixed_precision" | "autocast" => {
            "it is runtime.precision"
        }
        "cuda" | "use_cuda" | "gpu" | "gpus" | "accelerator" => "it is runtime.device",
        "devices" | "distributed" | "world_size" | "local_rank" | "ddp" | "num_gpus" => {
            "a run computes on one device: runtime.device"
        }
        "compile" | "torch_compile" | "benchmark" | "cudnn_benchmark" => {
            "kernels are chosen by themselves; runtime.deterministic takes the repeatable ones"
        }
        "pretrained" | "checkpoint_path" | "pretrained_weights" | "init_from" => {
            "a file to begin with is model.weights"
        }
        "backbone" | "encoder" | "architecture" | "model_name" => "it is model.arch",
        "embedding_size" | "embed_dim" | "emb_dim" | "feat_dim" | "out_dim" => {
            "it is model.embedding_dim"
        }
        "normalize" | "normalize_embeddings" | "l2_norm" => "it is model.l2_normalize",
        "dropout" | "drop_rate" => "dropout belongs to model.head = \"triplet\", 0.3",
        "num_classes" | "n_classes" => "classes are the training brands of the split",
        "image_size" | "img_size" | "input_size" | "resolution" | "crop_size" | "resize" => {
            "pictures have the side that the dataset was built with: `side` of logodex-data build"
        }
        "mean" | "std" => "pictures are normalised by ImageNet's mean and standard deviation",
        "hflip" | "horizontal_flip" | "random_flip" => "it is augment.flip_p",
        "color_jitter" | "colour_jitter" => {
            "it is augment.brightness, augment.contrast, augment.saturation and augment.hue"
        }
        "dataset" | "data_dir" | "data_path" | "data_root" | "root" => {
            "the dataset is --dataset, the split --split"
        }
        "output_dir" | "save_dir" | "out_dir" | "run_dir" | "work_dir" | "exp_name" | "log_dir" => {
            "the run's directory is --run"
        }
        "resume" | "resume_from" => "a run is continued by --resume",
        "val_split" | "train_split" | "test_split" => "folds are drawn by logodex-data split",
        "logger" | "wandb" | "tensorboard" | "log_every" | "log_interval" => {
            "every step is logged, to metrics.jsonl and for TensorBoard in the run's directory"
        }
        "k" | "samples_per_class" | "num_instances" | "m_per_class" => {
            "it is data.images_per_brand"
        }
        "random_seed" | "manual_seed" => "it is seed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{last, tables};

    #[test]
    fn no_habit_is_a_key_of_ours_and_every_key_that_is_named_instead_is() {
        let all = tables();
        let keys: Vec<&str> = all
            .iter()
            .flat_map(|table| table.all_keys().map(|(_, key)| key.path.as_str()))
            .chain(all.iter().map(|table| table.path.as_str()))
            .collect();
        for key in &keys {
            assert_eq!(habit(last(key)), None, "{key}");
        }
        let source = include_str!("habits.rs");
        let code = source.split("#[cfg(test)]").next().unwrap();
        let named = code
            .split(|c: char| !(c.is_alphanumeric() || "._".contains(c)))
            .map(|word| word.trim_end_matches('.'))
            .filter(|word| {
                let table = word.split('.').next().unwrap();
                word.contains('.') && all.iter().any(|t| !t.path.is_empty() && t.path == table)
            });
        let named: Vec<&str> = named.collect();
        assert!(named.len() > 30, "{named:?}");
        for name in named {
            assert!(keys.contains(&name) || name == "metrics.jsonl", "{name}");
        }
        assert!(habit("Num-Workers").is_some());
    }
}
