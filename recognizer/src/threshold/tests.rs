use logodex_schemas::dataset::Region;
use logodex_schemas::gallery::Strangers;
use logodex_schemas::onnx::CalibratedThreshold;
use logodex_schemas::random::stream;
use rand::Rng;

use super::*;

/// The best of so many similarities, each as likely anywhere from 0 to 1.
fn best_of(brands: u64, rng: &mut impl Rng) -> f32 {
    (0..brands)
        .map(|_| rng.random_range(0.0..1.0f32))
        .fold(0.0, f32::max)
}

fn calibrated(enrolled: u64, pictures: u64) -> GalleryCalibration {
    let mut rng = stream(3, "strangers", &[enrolled, pictures]);
    let mut best: Vec<f32> = (0..pictures).map(|_| best_of(enrolled, &mut rng)).collect();
    best.sort_unstable_by(|a, b| b.total_cmp(a));
    GalleryCalibration {
        strangers: Strangers::Enrolled,
        enrolled,
        pictures,
        brands: None,
        best,
    }
}

#[test]
fn a_threshold_holds_its_rate_over_more_and_over_fewer_brands_than_it_was_calibrated_with() {
    let calibration = calibrated(20, 5_000);
    for (enrolled, target) in [(20, 0.05), (100, 0.05), (4, 0.05), (100, 0.2)] {
        let threshold = of_gallery(&calibration, enrolled, target);
        assert_eq!(threshold.caution, None, "{enrolled}");
        let rate = threshold.rate.unwrap();
        assert!(rate <= target && rate > 0.7 * target, "{enrolled}: {rate}");
        let mut rng = stream(4, "new strangers", &[enrolled]);
        let n = 20_000;
        let named = (0..n)
            .filter(|_| threshold.accepts(best_of(enrolled, &mut rng)))
            .count();
        let seen = named as f64 / f64::from(n);
        assert!(
            (seen - rate).abs() < 0.25 * rate,
            "{enrolled}: {seen}, told {rate}"
        );
    }
    // What is taken for the rate of a single comparison would let through five times as many.
    let naive = of_gallery(&calibration, 20, 0.05).similarity;
    let mut rng = stream(5, "naive", &[]);
    let named = (0..2_000)
        .filter(|_| f64::from(best_of(100, &mut rng)) >= naive)
        .count();
    assert!(named > 300, "{named}");
}

#[test]
fn equal_similarities_are_accepted_together_or_not_at_all() {
    let mut calibration = calibrated(2, 10);
    calibration.best = vec![0.9, 0.8, 0.8, 0.8, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0];
    for (target, accepted) in [(0.1, 0), (0.2, 1), (0.31, 1), (0.4, 1), (0.46, 4), (0.6, 5)] {
        let threshold = of_gallery(&calibration, 2, target);
        let counted = calibration
            .best
            .iter()
            .filter(|s| threshold.accepts(**s))
            .count();
        assert_eq!(counted, accepted, "{target}");
        let expected = (accepted as f64 + 1.0) / 11.0;
        assert!((threshold.rate.unwrap() - expected).abs() < 1e-12);
    }
}

/// Over draws of the strangers, the rate is what is told on average, never more than was asked for, and within the interval
/// in 95 % of them. It is known: of similarities that are as likely anywhere, the best of 20 is below t in t²⁰ of all cases.
#[test]
fn over_draws_of_few_strangers_the_rate_is_what_is_told() {
    let (brands, strangers, draws) = (20, 120, 6_000);
    for (asked, target) in [(20, 0.02), (20, 0.1), (50, 0.1)] {
        let (mut sum, mut within, mut told) = (0.0, 0, 0.0);
        for draw in 0..draws {
            let mut rng = stream(6, "draws", &[draw]);
            let best = (0..strangers).map(|_| best_of(brands, &mut rng));
            let mut best: Vec<f32> = best.collect();
            best.sort_unstable_by(|a, b| b.total_cmp(a));
            let found = chosen(&best, strangers, (brands, asked), target);
            let rate = 1.0 - found.similarity.powi(asked as i32);
            sum += rate;
            told = found.rate;
            within += u32::from(found.interval[0] <= rate && rate <= found.interval[1]);
        }
        let mean = sum / draws as f64;
        assert!(told <= target && told > 0.5 * target, "{told}, {target}");
        assert!((mean - told).abs() < 0.03 * told, "{mean}, told {told}");
        let covered = f64::from(within) / draws as f64;
        assert!((covered - 0.95).abs() < 0.015, "{covered}");
    }
}

#[test]
fn too_few_strangers_tell_no_low_rate_and_say_so() {
    let calibration = calibrated(5, 30);
    let threshold = of_gallery(&calibration, 5, 0.001);
    assert!(
        calibration
            .best
            .iter()
            .all(|best| !threshold.accepts(*best))
    );
    assert!((threshold.rate.unwrap() - 1.0 / 31.0).abs() < 1e-9);
    assert!(threshold.caution.unwrap().contains("30 pictures"));
}

#[test]
fn of_a_models_thresholds_the_lowest_is_taken_that_is_strict_enough_at_this_size() {
    let gallery = |shots, enrolled, shift: f64| CalibratedGallery {
        shots,
        enrolled,
        unknown_probes: 10_000,
        thresholds: [(0.1, 0.5), (0.01, 0.6), (0.001, 0.7)]
            .map(|(far, similarity)| CalibratedThreshold {
                far,
                similarity: similarity + shift,
                false_accepts: 0,
            })
            .to_vec(),
    };
    let calibration = Calibration {
        region: Region::Image,
        split: "s".to_owned(),
        split_blake3: String::new(),
        seed: 1,
        draws: 10,
        rows: 1_000,
        brands: vec!["a".to_owned(); 40],
        seen_brands: vec![],
        galleries: vec![
            gallery(1, 10, 0.0),
            gallery(5, 10, 0.1),
            gallery(5, 20, 0.11),
        ],
    };
    let found = |enrolled, shots, target| of_model(&calibration, enrolled, shots, target).unwrap();
    let exact = found(10, 1, 0.01);
    assert_eq!((exact.similarity, exact.caution), (0.6, None));
    assert!((exact.rate.unwrap() - 0.01).abs() < 1e-12);
    // Ten times the brands: what let 1 % through lets nearly 10 % through.
    assert_eq!(found(100, 1, 0.01).similarity, 0.7);
    assert!((found(100, 1, 0.01).rate.unwrap() - 0.01).abs() < 1e-4);
    assert_eq!(found(2, 1, 0.03).similarity, 0.5);
    assert_eq!(
        found(12, 4, 0.02).similarity,
        0.7,
        "the calibrated gallery of five pictures and ten brands"
    );
    assert_eq!(found(19, 9, 0.1).similarity, 0.61);
    let beyond = found(1_000, 1, 0.001);
    assert_eq!(beyond.similarity, 0.7);
    assert!(beyond.rate.unwrap() > 0.09 && beyond.caution.is_some());
    let none = Calibration {
        galleries: vec![],
        ..calibration
    };
    assert!(of_model(&none, 10, 1, 0.01).is_none());
}
