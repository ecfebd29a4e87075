//! When a plan can be trusted: for its own tree, at any number of threads, at the real tree's size.

use std::collections::BTreeSet;

use super::*;
use crate::raw::annotation::{Annotation, BBox, Object};
use crate::raw::scan::RawSample;
use logodex_pixels::decode::Seen;

#[test]
fn a_plan_for_another_tree_or_one_that_contradicts_itself_is_refused() {
    let tree = family();
    tree.pair("Food/Amora/1", 60, &["Amora", "gree-2"]);
    let good = plan(&tree);
    let scan = tree.scan();
    apply(&scan, &good).expect("a catalog");
    type Lie = (&'static str, fn(&mut ConsolidationPlan));
    let lies: [Lie; 14] = [
        ("version", |p| p.header.version += 1),
        ("tree", |p| p.raw_blake3 = "0".repeat(64)),
        ("summary", |p| p.summary.kept += 1),
        ("copy kept nowhere", |p| {
            p.groups[0].dropped[0].kept = "x".to_owned()
        }),
        ("copy of another picture", |p| {
            p.groups[0].dropped[0].kept = "Electronic/gree-2/1.jpg".to_owned();
        }),
        ("copy of itself", |p| {
            p.groups[0].dropped[0].kept = p.groups[0].dropped[0].image.clone();
        }),
        ("copy of a copy", |p| {
            p.groups[0].dropped[2].kept = p.groups[0].dropped[0].image.clone();
        }),
        ("dropped twice", |p| {
            let copy = p.groups[0].dropped[0].clone();
            p.groups[0].dropped.push(copy);
        }),
        ("copy of another brand", |p| {
            p.groups[0].dropped[0].image = "Food/Amora/1.jpg".to_owned();
        }),
        ("folder that is not there", |p| {
            p.groups[0].members[0].folder = "x".to_owned()
        }),
        ("folder twice", |p| {
            let member = p.groups[0].members[0].clone();
            p.groups[0].members.push(member);
        }),
        ("copy forgotten", |p| drop(p.groups[0].dropped.pop())),
        ("renamed but dropped", |p| {
            let image = p.groups[0].dropped[0].image.clone();
            let stem = "9".to_owned();
            p.groups[0].renamed.push(RenamedImage { image, stem });
            p.summary.renamed += 1;
        }),
        ("another brand named", |p| {
            p.foreign_names[0].brand = Some("Amora".to_owned())
        }),
    ];
    for (why, lie) in lies {
        let mut plan = good.clone();
        lie(&mut plan);
        let error = apply(&scan, &plan).expect_err(why);
        assert!(error.is::<PlanMismatch>(), "{why}: {error}");
    }
    tree.pair("Food/Amora/2", 61, &["Amora"]);
    assert!(apply(&tree.scan(), &good).is_err(), "the tree grew");
}

#[test]
fn threads_and_order_change_no_byte_of_a_plan() {
    let tree = family();
    for i in (0..30).rev() {
        tree.pair(&format!("Food/b{}-{}/{i}", i % 5, 1 + i % 3), i / 2, &["x"]);
    }
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let a = one.expect("a pool").install(|| plan(&tree));
    let b = plan(&tree);
    assert_eq!(a, b);
    let json = |p: &ConsolidationPlan| serde_json::to_string(p).expect("JSON");
    assert_eq!(json(&a), json(&b));
    let read: ConsolidationPlan = serde_json::from_str(&json(&a)).expect("a plan");
    assert_eq!(read, a, "what is read back is what was written");
    assert_eq!(catalog(&tree, &a), catalog(&tree, &b));
}

/// The real tree's shape: in 112 families every folder holds the same images; three hold different ones.
#[test]
fn the_real_tree_keeps_151442_images() {
    let mut scan = RawTree::new().pair("Food/a/1", 1, &["a"]).scan();
    scan.samples.clear();
    scan.folders.clear();
    let object = |name: &str| Object {
        name: name.to_owned(),
        bbox: Ok(BBox {
            xmin: 0.0,
            ymin: 0.0,
            xmax: 9.0,
            ymax: 9.0,
        }),
    };
    let mut rows: Vec<(&str, &str, u32)> = include_str!("../../../../../fixtures/census.tsv")
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some((fields.next()?, fields.next()?, fields.next()?.parse().ok()?))
        })
        .collect();
    rows.sort();
    for (category, folder, images) in rows {
        let named = if folder == "mcdonalds" {
            "McDonald's"
        } else {
            folder
        };
        let disjoint = folder.starts_with("norton-")
            || folder.starts_with("new holland-")
            || folder == "new zealand natural-1";
        let source = if disjoint {
            folder
        } else {
            naming::base(folder)
        };
        scan.folders.push((category.to_owned(), folder.to_owned()));
        for i in 0..images {
            let hash = blake3::hash(format!("{category}/{source}/{i}").as_bytes());
            scan.samples.push(RawSample {
                category: category.to_owned(),
                folder: folder.to_owned(),
                stem: i.to_string(),
                image: format!("{category}/{folder}/{i}.jpg"),
                annotation: format!("{category}/{folder}/{i}.xml"),
                image_blake3: hash,
                annotation_blake3: hash,
                image_bytes: 1,
                seen: Seen {
                    width: 100,
                    height: 100,
                    phash: u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i])),
                    quality: None,
                },
                parsed: Annotation {
                    objects: vec![object(named)],
                },
            });
        }
    }
    let pixels = |scan: &Scan, i: usize| Ok(Some(blake3::hash(scan.samples[i].image.as_bytes())));
    let plan = propose_with(
        &scan,
        &BuildConfig::default(),
        &Overrides::default(),
        &pixels,
        &thumbnail,
    )
    .expect("a plan");
    let s = &plan.summary;
    assert_eq!((s.folders, s.brands), (3_000, 2_863));
    assert_eq!((s.images, s.kept), (158_654, 151_442));
    assert_eq!(s.dropped, 7_569 - 357);
    let catalog = apply(&scan, &plan).expect("a catalog");
    assert_eq!(catalog.brands.len(), 2_863);
    assert!(
        catalog
            .brands
            .is_sorted_by(|a, b| (&a.name, &a.category) < (&b.name, &b.category))
    );
    assert_eq!(catalog.samples.len(), 151_442);
    assert!(plan.foreign_names.is_empty());

    // What only names join is stated, and comes apart: two of three, two of three, one of three, one of two.
    let disjoint = plan
        .groups
        .iter()
        .filter(|g| g.verdict == Verdict::Disjoint);
    let disjoint: BTreeSet<&str> = disjoint.map(|g| g.brand.as_str()).collect();
    assert_eq!(
        Vec::from_iter(disjoint),
        ["McDonald's", "new holland", "new zealand natural", "norton"]
    );
    let config = with_rules(ConsolidateConfig {
        join_disjoint: false,
        ..ConsolidateConfig::default()
    });
    let apart = propose_with(&scan, &config, &Overrides::default(), &pixels, &thumbnail);
    let apart = apart.expect("a plan").summary;
    assert_eq!((apart.brands, apart.kept), (2_863 + 6, 151_442));
}
