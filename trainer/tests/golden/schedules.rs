//! Rates against torch.optim.lr_scheduler.

use logodex_schemas::train::{LrSchedule, OptimizerConfig, ScheduleConfig, Unfreeze};
use logodex_trainer::model::Group;
use logodex_trainer::optim::schedule::{
    batches_of_step, frozen_stages, lr_factor, rate, steps_per_epoch,
};

use crate::golden;

fn config(lr: LrSchedule) -> ScheduleConfig {
    ScheduleConfig {
        epochs: 4,
        lr,
        warmup_steps: 4,
        freeze: 4,
        unfreeze: vec![
            Unfreeze {
                epoch: 2,
                freeze: 3,
                lr_factor: 0.2,
            },
            Unfreeze {
                epoch: 3,
                freeze: 1,
                lr_factor: 0.5,
            },
        ],
        step_epochs: None,
        step_factor: None,
    }
}

#[test]
fn rates_equal_torch_over_warmup_two_unfreezings_and_the_end() {
    let golden = golden("schedules");
    for (name, lr) in [
        ("constant", LrSchedule::Constant),
        ("cosine", LrSchedule::Cosine),
    ] {
        for step in 0..20 {
            let ours = lr_factor(&config(lr), step, 20, step as u32 / 5);
            let theirs = golden[name].double_value(&[step as i64]);
            assert!(
                (ours - theirs).abs() < 1e-12,
                "{name}, step {step}: {ours} against {theirs}"
            );
        }
    }
}

#[test]
fn a_stepped_rate_equals_torch_and_steps_by_epochs() {
    let golden = golden("schedules");
    let stepped = ScheduleConfig {
        warmup_steps: 0,
        unfreeze: Vec::new(),
        step_epochs: Some(3),
        step_factor: Some(0.3),
        ..config(LrSchedule::Step)
    };
    for epoch in 0..10 {
        let theirs = golden["step"].double_value(&[i64::from(epoch)]);
        for step in [0, 4] {
            let ours = lr_factor(&stepped, u64::from(epoch) * 5 + step, 50, epoch);
            assert!((ours - theirs).abs() < 1e-12, "epoch {epoch}: {ours}");
        }
    }
    let by_default = ScheduleConfig {
        step_epochs: None,
        step_factor: None,
        ..stepped
    };
    let factors = [9, 10, 20].map(|epoch| lr_factor(&by_default, 99, 200, epoch));
    for (factor, expected) in factors.iter().zip([1.0, 0.1, 0.01]) {
        assert!((factor - expected).abs() < 1e-12, "{factors:?}");
    }
}

#[test]
fn each_group_has_its_own_rate() {
    let optimizer = OptimizerConfig {
        lr: 0.5,
        backbone_factor: 0.25,
        loss_factor: 4.0,
        ..OptimizerConfig::default()
    };
    let groups = [Group::Head, Group::Backbone { stage: 3 }, Group::Loss];
    let rates = groups.map(|group| rate(&optimizer, 0.5, group));
    assert_eq!(rates, [0.25, 0.0625, 1.0]);
}

#[test]
fn batches_share_a_step_and_the_last_step_of_an_epoch_takes_what_remains() {
    let steps = |batches, accumulate| {
        let (mut done, mut steps) = (0, Vec::new());
        while done < batches {
            steps.push(batches_of_step(done, batches, accumulate));
            done += steps[steps.len() - 1];
        }
        assert_eq!(done, batches);
        assert_eq!(steps.len() as u64, steps_per_epoch(batches, accumulate));
        steps
    };
    assert_eq!(steps(7, 3), [3, 3, 1]);
    assert_eq!(steps(6, 3), [3, 3]);
    assert_eq!(steps(2, 3), [2]);
    assert_eq!(steps(3, 1), [1, 1, 1]);
}

#[test]
fn the_freeze_level_falls_at_the_start_of_each_unfreezing_epoch() {
    let config = config(LrSchedule::Constant);
    let levels: Vec<u8> = (0..4).map(|epoch| frozen_stages(&config, epoch)).collect();
    assert_eq!(levels, [4, 4, 3, 1]);
    let fixed = ScheduleConfig {
        unfreeze: Vec::new(),
        ..config
    };
    assert_eq!(frozen_stages(&fixed, 3), 4);
}

#[test]
fn without_warmup_the_first_step_has_the_full_rate_and_no_step_none() {
    let plain = ScheduleConfig {
        warmup_steps: 0,
        unfreeze: Vec::new(),
        ..config(LrSchedule::Cosine)
    };
    assert_eq!(lr_factor(&plain, 0, 10, 0), 1.0);
    assert!(lr_factor(&plain, 9, 10, 0) > 0.0);
    assert_eq!(lr_factor(&plain, 0, 0, 0), 1.0); // a run of no steps divides by nothing
    let all_warmup = ScheduleConfig {
        warmup_steps: 50,
        ..plain
    };
    assert_eq!(lr_factor(&all_warmup, 9, 10, 0), 0.2);
}
