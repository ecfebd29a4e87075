//! Rates against torch.optim.lr_scheduler.

use logodex_schemas::train::{LrSchedule, ScheduleConfig, Unfreeze};
use logodex_trainer::schedule::{frozen_stages, lr_factor};

use crate::golden;

fn config(lr: LrSchedule) -> ScheduleConfig {
    ScheduleConfig {
        epochs: 4,
        lr,
        warmup_steps: 4,
        freeze: 4,
        unfreeze: vec![Unfreeze {
            epoch: 2,
            freeze: 3,
            lr_factor: 0.2,
        }],
        step_epochs: None,
        step_factor: None,
    }
}

#[test]
fn rates_equal_torch_over_warmup_unfreezing_and_the_end() {
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
fn the_freeze_level_falls_at_the_start_of_its_epoch() {
    let config = config(LrSchedule::Constant);
    let levels: Vec<u8> = (0..4).map(|epoch| frozen_stages(&config, epoch)).collect();
    assert_eq!(levels, [4, 4, 3, 3]);
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
