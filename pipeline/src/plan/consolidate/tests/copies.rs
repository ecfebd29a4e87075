//! Which of several copies stays, what is told of the others, and what is no answer.

use super::*;

/// An annotation with these boxes.
fn boxes(boxes: &[[u32; 4]]) -> String {
    let text = |[x0, y0, x1, y1]: &[u32; 4]| {
        let edges = format!("<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>");
        format!("<object><name>a</name><bndbox>{edges}</bndbox></object>")
    };
    let objects: Vec<String> = boxes.iter().map(text).collect();
    format!("<annotation>{}</annotation>", objects.concat())
}

fn with_limit(tree: &RawTree, min_object_px: u32) -> ConsolidationPlan {
    let config = BuildConfig {
        min_object_px,
        ..BuildConfig::default()
    };
    propose_with(
        &tree.scan(),
        &config,
        &Overrides::default(),
        &pixel_hash,
        &thumbnail,
    )
    .expect("a plan")
}

#[test]
fn the_copy_stays_whose_box_makes_a_row() {
    let tree = RawTree::new();
    for (encoding, folder, found) in [
        ("", "a-1", boxes(&[[50, 8, 10, 50]])),
        ("", "a-2", boxes(&[[10, 8, 60, 14]])),
        ("anew", "a-3", boxes(&[[10, 8, 60, 50]])),
    ] {
        tree.encoded(&format!("Food/{folder}/1"), 1, encoding, &["a"])
            .file(&format!("Food/{folder}/1.xml"), found);
    }
    let kept = |limit| {
        let plan = with_limit(&tree, limit);
        assert_eq!(plan.min_object_px, limit);
        plan.groups[0].dropped[0].kept.clone()
    };
    // 6 px: enough for a limit of 6, and better than no box where none is large enough.
    assert_eq!(kept(6), "Food/a-2/1.jpg");
    assert_eq!(kept(7), "Food/a-3/1.jpg");
    assert_eq!(kept(43), "Food/a-2/1.jpg");
    // What a box has outside of its image does not count.
    tree.file("Food/a-2/1.xml", boxes(&[[10, 90, 60, 190]]));
    assert_eq!(kept(10), "Food/a-2/1.jpg");
    assert_eq!(kept(11), "Food/a-3/1.jpg");
}

#[test]
fn boxes_that_only_a_dropped_copy_has_are_listed_for_copies_by_bytes_and_by_pixels() {
    let tree = RawTree::new();
    let [one, two, three] = [[10, 8, 60, 50], [20, 8, 60, 50], [30, 8, 60, 50]];
    tree.pair("Food/a-1/1", 1, &[])
        .file("Food/a-1/1.xml", boxes(&[one]))
        .pair("Food/a-2/1", 1, &[])
        .file("Food/a-2/1.xml", boxes(&[one, two]))
        .encoded("Food/a-3/1", 1, "anew", &[])
        .file("Food/a-3/1.xml", boxes(&[three, one, [50, 8, 10, 50]]));
    let plan = plan(&tree);
    let lost: Vec<_> = plan.groups[0]
        .dropped
        .iter()
        .map(|copy| (copy.same, copy.boxes_lost.as_slice()))
        .collect();
    let edges = |edges: [u32; 4]| edges.map(f64::from);
    assert_eq!(
        lost,
        [
            (Sameness::Bytes, &[edges(two)][..]),
            (Sameness::Pixels, &[edges(three)][..]),
        ]
    );
    let text = summarize(&plan);
    assert!(
        text.contains("Food/a-3/1.jpg: 1, kept Food/a-1/1.jpg"),
        "{text}"
    );
}

#[test]
fn a_file_that_cannot_be_read_for_comparison_is_an_error_and_no_answer() {
    let tree = family();
    tree.pair("Food/lacta/1", 1, &["lacta"])
        .encoded("Food/lacto/1", 1, "anew", &["lacto"]);
    let propose_of = |scan: &Scan| propose(scan, &BuildConfig::default(), &Overrides::default());
    let scan = tree.scan();
    // In a family pixels are compared, between brands looks are.
    for (image, mended) in [
        ("Electronic/gree-10/2.jpg", "picture 2;anew"),
        ("Food/lacto/1.jpg", "picture 1;anew"),
    ] {
        let path = scan.root.join(image);
        std::fs::remove_file(&path).expect("removed");
        let error = format!("{:#}", propose_of(&scan).expect_err("gone"));
        assert!(
            error.contains(image) && error.contains("No such file"),
            "{error}"
        );
        std::fs::write(&path, "another picture;").expect("written");
        let error = format!("{:#}", propose_of(&scan).expect_err("changed"));
        assert!(
            error.contains(image) && error.contains("changed"),
            "{error}"
        );
        std::fs::write(&path, mended).expect("written");
    }
    // What can be read and not be decoded is no copy.
    assert_eq!(propose_of(&scan).expect("a plan").summary.dropped, 2);
}

#[test]
fn hundreds_of_thousands_of_boxes_are_compared_in_a_moment() {
    let tree = RawTree::new();
    tree.pair("Food/a-1/1", 1, &["a"])
        .pair("Food/a-2/1", 1, &["a"]);
    let mut scan = tree.scan();
    for (sample, width) in scan.samples.iter_mut().zip([95.0, 95.5]) {
        let first = sample.parsed.objects[0].clone();
        let object = |i: u32| {
            let mut object = first.clone();
            let bbox = object.bbox.as_mut().expect("a box");
            [bbox.xmax, bbox.ymax] = [width, 91.0 + f64::from(i)];
            object
        };
        sample.parsed.objects = (0..100_000).map(object).collect();
    }
    let began = std::time::Instant::now();
    let plan = propose_with(
        &scan,
        &BuildConfig::default(),
        &Overrides::default(),
        &pixel_hash,
        &thumbnail,
    )
    .expect("a plan");
    assert_eq!(plan.groups[0].dropped[0].boxes_lost.len(), 100_000);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}
