//! What looks alike across brands is listed and never joined.

use super::*;

/// Scans a tree of written pictures so that `encoded(…, n, "xx", …)` differs from picture n in two bits of its hash.
fn with_hashes(tree: &RawTree) -> Scan {
    let mut scan = tree.scan();
    for sample in &mut scan.samples {
        let text = std::fs::read_to_string(scan.root.join(&sample.image)).expect("a picture");
        let (_, encoding) = text.split_once(';').expect("an encoding");
        sample.seen.phash ^= (1 << encoding.len()) - 1;
    }
    scan
}

fn plan_of(scan: &Scan) -> ConsolidationPlan {
    let config = BuildConfig::default();
    propose_with(
        scan,
        &config,
        &Overrides::default(),
        &pixel_hash,
        &thumbnail,
    )
    .expect("a plan")
}

#[test]
fn look_alikes_of_different_brands_are_listed_and_kept() {
    let tree = RawTree::new();
    tree.pair("Food/lacta/1", 1, &["lacta"])
        .encoded("Food/lacta/2", 1, "x", &["lacta"])
        .encoded("Food/lacto/1", 1, "xyz", &["lacto"])
        .encoded("Food/lacto/2", 1, "uvwxyz", &["lacto"])
        .encoded("Food/lacto/3", 1, "!", &["lacto"])
        .pair("Sports/lacta-1/7", 1, &["lacta-1"])
        .pair("Sports/lacta-2/8", 1, &["lacta-2"])
        .pair("Sports/other/9", 9, &["other"]);
    let scan = with_hashes(&tree);
    let plan = plan_of(&scan);
    let near: Vec<_> = plan
        .near_images
        .iter()
        .map(|n| (n.a.as_str(), n.b.as_str(), n.brand_b.as_str(), n.distance))
        .collect();
    // Not the same file (Food/lacta/1 = Sports/lacta-1/7), not two bits too far, not what only has the same hash, not the
    // copy that is dropped.
    assert_eq!(
        near,
        [
            ("Food/lacta/1.jpg", "Food/lacto/1.jpg", "lacto", 3),
            ("Food/lacta/2.jpg", "Food/lacto/1.jpg", "lacto", 2),
            ("Food/lacta/2.jpg", "Sports/lacta-1/7.jpg", "lacta", 1),
            ("Food/lacto/1.jpg", "Sports/lacta-1/7.jpg", "lacta", 3),
        ]
    );
    assert!(plan.near_images.iter().all(|n| n.correlation == 1.0));
    assert!(plan.crowded_images.is_empty());
    assert_eq!(plan.summary.kept, 7, "nothing but the copy is dropped");
    assert_eq!(plan.groups.len(), 1);
    assert_eq!(plan.groups[0].overlap[0].same_look, 1);

    // Names that share pictures come first, and a name in two categories is two brands.
    let names: Vec<_> = plan
        .near_names
        .iter()
        .map(|n| {
            let a = format!("{}/{}", n.category_a, n.brand_a);
            (a, format!("{}/{}", n.category_b, n.brand_b), n.images_near)
        })
        .collect();
    let name = |a: &str, b: &str, shared| (a.to_owned(), b.to_owned(), shared);
    assert_eq!(
        names,
        [
            name("Food/lacta", "Sports/lacta", 2),
            name("Food/lacta", "Food/lacto", 2),
            name("Sports/lacta", "Food/lacto", 1),
        ]
    );
    let text = summarize(&plan);
    assert!(
        text.contains("4 images of two brands that look the same"),
        "{text}"
    );
    assert!(
        text.contains("Food/lacta ~ Sports/lacta, 2 pictures shared"),
        "{text}"
    );

    let apart = apply(&scan, &plan).expect("a catalog");
    assert_eq!(apart.brands.len(), 4);
}

#[test]
fn a_file_in_very_many_brands_is_one_group() {
    let tree = RawTree::new();
    for i in 0..40 {
        tree.encoded(&format!("Food/brand {i:02}/1"), 1, ["", "x"][i % 2], &["x"]);
    }
    let plan = plan_of(&with_hashes(&tree));
    // Two files: each is one group with all its brands, and that they look the same is said for some.
    let members: Vec<usize> = plan
        .copies_across_brands
        .iter()
        .map(|group| group.images.len())
        .collect();
    assert_eq!(members, [20, 20]);
    assert!(plan.crowded_images.is_empty());
    assert_eq!(plan.near_images.len(), 32);
}

#[test]
fn one_near_picture_is_found_beside_forty_copies() {
    let tree = RawTree::new();
    for i in 0..40 {
        tree.encoded(&format!("Food/brand {i:02}/1"), 1, "", &["x"]);
    }
    // Four bits away: as far as a progressive copy of a sequential file has been seen.
    tree.encoded("Food/brand 00/2", 1, "wxyz", &["x"]).encoded(
        "Sports/far/1",
        1,
        "vwxyz!?.,;",
        &["x"],
    );
    let plan = plan_of(&with_hashes(&tree));
    assert_eq!(plan.copies_across_brands[0].images.len(), 40);
    assert!(plan.near_images.iter().all(|near| near.distance == 4));
    // Brand 00 holds both; every other brand's copy looks like its second picture.
    assert!(
        plan.near_images
            .iter()
            .all(|near| near.a == "Food/brand 00/2.jpg" && near.b != "Food/brand 00/1.jpg")
    );
    assert_eq!(plan.near_images.len(), 32);
}
