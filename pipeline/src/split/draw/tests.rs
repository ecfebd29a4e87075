//! Properties of the draw.

use std::collections::BTreeSet;

use super::*;

fn options(seed: u64, test: f64, val: f64) -> SplitOptions {
    SplitOptions {
        name: "s".to_owned(),
        seed,
        test,
        val,
        allow_duplicates: false,
    }
}

/// Brands of categories of these sizes.
fn brands(sizes: &[(&str, usize)]) -> Vec<BrandRow> {
    let mut first_row = 0;
    let mut brands = Vec::new();
    for (category, n) in sizes {
        for i in 0..*n {
            brands.push(BrandRow {
                index: brands.len() as u32,
                category: (*category).to_owned(),
                brand: format!("{category} brand {i}"),
                key: format!("{category}/{category} brand {i}"),
                first_row,
                n_rows: 4,
                n_images: 4,
                n_objects: 5,
            });
            first_row += 4;
        }
    }
    brands
}

fn folds(rows: &[SplitRow]) -> BTreeMap<String, Fold> {
    rows.iter()
        .map(|row| (row.brand.clone(), row.fold))
        .collect()
}

const CATEGORIES: [(&str, usize); 5] = [
    ("Clothes", 61),
    ("Electronic", 22),
    ("Food", 93),
    ("Medical", 4),
    ("Sports", 2),
];

#[test]
fn every_brand_has_one_fold_and_every_category_its_share() {
    let brands = brands(&CATEGORIES);
    for seed in 0..20 {
        let rows = draw(&brands, &options(seed, 0.1, 0.2));
        assert_eq!(
            rows.iter().map(|row| row.index).collect::<Vec<_>>(),
            (0..182).collect::<Vec<_>>()
        );
        for (category, n) in CATEGORIES {
            let count = |fold| {
                rows.iter()
                    .filter(|row| row.category == category && row.fold == fold)
                    .count()
            };
            let (train, val, test) = (count(Fold::Train), count(Fold::Val), count(Fold::Test));
            assert!(train >= 1 && test >= 1, "{category}");
            assert!(
                (test as f64 - n as f64 * 0.1).abs() < 1.0,
                "{category}: {test} of {n}"
            );
            assert!(
                (val as f64 - (n - test) as f64 * 0.2).abs() < 1.0,
                "{category}: {val} of {n}"
            );
        }
    }
}

#[test]
fn totals_are_the_fractions_asked_for() {
    // 182 × 0.1 = 18.2; the two small categories' minimum of one is within it.
    assert_eq!(quotas(&[61, 22, 93, 4, 2], 0.1), [6, 2, 9, 1, 1]);
    assert_eq!(quotas(&[100, 100, 100], 0.155), [16, 16, 15]);
    assert_eq!(
        quotas(&[1, 1, 1, 1], 0.5),
        [0, 0, 0, 0],
        "every category keeps a brand"
    );
    assert_eq!(quotas(&[2, 2], 0.9), [1, 1]);
    assert_eq!(quotas(&[10, 10], 0.0), [0, 0]);
    assert!(quotas(&[], 0.5).is_empty());
}

#[test]
fn more_images_move_no_brand_and_a_new_brand_moves_few() {
    let before = brands(&CATEGORIES);
    let mut more_images = before.clone();
    for brand in &mut more_images {
        brand.n_rows += u64::from(brand.index % 3);
        brand.n_images += 1;
    }
    assert_eq!(
        draw(&before, &options(7, 0.1, 0.2)),
        draw(&more_images, &options(7, 0.1, 0.2))
    );
    let mut sizes = CATEGORIES;
    sizes[2].1 += 1;
    let (old, new) = (
        folds(&draw(&before, &options(7, 0.1, 0.2))),
        folds(&draw(&brands(&sizes), &options(7, 0.1, 0.2))),
    );
    let moved = old
        .iter()
        .filter(|(brand, fold)| new[*brand] != **fold)
        .count();
    assert!(moved <= 4, "{moved} brands moved");
}

#[test]
fn the_seed_decides_and_brands_without_rows_are_left_out() {
    let mut brands = brands(&CATEGORIES);
    let of = |brands: &[BrandRow], seed| folds(&draw(brands, &options(seed, 0.3, 0.3)));
    assert_eq!(of(&brands, 1), of(&brands, 1));
    let (one, two) = (of(&brands, 1), of(&brands, 2));
    let moved = one
        .iter()
        .filter(|(brand, fold)| two[*brand] != **fold)
        .count();
    assert!(moved > 40, "{moved}");
    let tests: BTreeSet<_> = one
        .iter()
        .filter(|(_, fold)| **fold == Fold::Test)
        .map(|(brand, _)| brand)
        .collect();
    assert_eq!(tests.len(), 55);
    brands[5].n_rows = 0;
    assert!(!of(&brands, 1).contains_key("Clothes brand 5"));
}

#[test]
fn a_dataset_that_only_judges_has_every_brand_in_test() {
    let options = options(3, 1.0, 0.2);
    options.validate().unwrap();
    let rows = draw(&brands(&CATEGORIES), &options);
    assert!(rows.len() == 182 && rows.iter().all(|row| row.fold == Fold::Test));
}

#[test]
fn bad_options_are_named() {
    let refused = |options: SplitOptions, says: &str| {
        let error = options.validate().unwrap_err();
        assert_eq!(logodex_program::failure::exit_code(&error), 2);
        assert!(format!("{error}").contains(says), "{error}");
    };
    refused(options(1, 1.1, 0.2), "--test");
    refused(options(1, -0.1, 0.2), "--test");
    refused(options(1, f64::NAN, 0.2), "--test");
    refused(options(1, 0.1, 1.5), "--val");
    for name in ["", "a/b", "..", "a b"] {
        refused(
            SplitOptions {
                name: name.to_owned(),
                ..options(1, 0.1, 0.2)
            },
            "--name",
        );
    }
}
