//! The evidence of a finding, on trees small enough to be counted by hand.

use std::collections::BTreeMap;

use logodex_schemas::dataset::BuildConfig;
use logodex_schemas::plan::Overrides;
use logodex_schemas::plan::audit::{Audit, Finding, FindingKind, KeptBecause};

use super::findings;
use crate::plan::consolidate::propose;
use crate::raw::scan::raw_tree::RawTree;

/// An annotation with a box of each name, `[xmin, ymin, xmax, ymax]`.
fn xml(objects: &[(&str, [i32; 4])]) -> String {
    let object = |(name, [x0, y0, x1, y1]): &(&str, [i32; 4])| {
        format!(
            "<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        )
    };
    let objects: String = objects.iter().map(object).collect();
    format!("<annotation>{objects}</annotation>")
}

fn audit(tree: &RawTree) -> Audit {
    let scan = tree.scan();
    let plan = propose(&scan, &BuildConfig::default(), &Overrides::default()).unwrap();
    let asked = findings::Asked {
        changed: None,
        folds: &BTreeMap::new(),
        model: None,
        min_object_px: 8,
    };
    findings::find(&scan, &plan, asked).unwrap().audit
}

fn of_kind(audit: &Audit, kind: FindingKind) -> &Finding {
    let mut of = audit.findings.iter().filter(|f| f.kind == kind);
    let found = of.next().unwrap_or_else(|| panic!("no {kind:?}"));
    assert!(of.next().is_none(), "one {kind:?}");
    found
}

/// Two folders of one brand; each picture is 100 pixels wide and high.
fn family() -> RawTree {
    let tree = RawTree::new();
    let write = |path: &str, picture: u32, objects: &[(&str, [i32; 4])]| {
        tree.file(&format!("{path}.jpg"), format!("picture {picture};"));
        tree.file(&format!("{path}.xml"), xml(objects));
    };
    let whole = [10, 10, 90, 90];
    // The trusted folder's box lies outside its picture.
    write("Food/acme-1/1", 1, &[("acme-1", [200, 10, 290, 90])]);
    write("Food/acme-2/1", 1, &[("acme-2", whole)]);
    // One box more in the less trusted folder.
    write("Food/acme-1/2", 2, &[("acme-1", whole)]);
    write(
        "Food/acme-2/2",
        2,
        &[("acme-2", whole), ("acme-2", [20, 20, 60, 60])],
    );
    write("Food/acme-1/3", 3, &[("acme-1", whole)]);
    write("Food/acme-1/4", 3, &[("acme-1", whole)]);
    write(
        "Food/bolt/1",
        5,
        &[
            ("bolt", whole),
            ("acme-2", whole),
            ("nobody", [50, 50, 130, 90]),
            ("bolt", [200, 200, 210, 210]),
            ("bolt", [1, 40, 101, 80]),
        ],
    );
    tree
}

#[test]
fn a_pair_says_which_copy_is_believed_and_why() {
    let audit = audit(&family());
    let found = of_kind(&audit, FindingKind::Family);
    let mut pairs: Vec<(&str, &str, Option<KeptBecause>, bool)> = found
        .pairs
        .iter()
        .map(|p| {
            let image = |i: u32| audit.pictures[i as usize].image.as_str();
            (image(p.a), image(p.b), p.because, p.differ)
        })
        .collect();
    pairs.sort_by_key(|p| p.1);
    use KeptBecause::{FirstOfFolder, HasBox, TrustedFolder};
    assert_eq!(
        pairs,
        [
            ("Food/acme-2/1.jpg", "Food/acme-1/1.jpg", Some(HasBox), true),
            (
                "Food/acme-1/3.jpg",
                "Food/acme-1/4.jpg",
                Some(FirstOfFolder),
                false
            ),
            (
                "Food/acme-1/2.jpg",
                "Food/acme-2/2.jpg",
                Some(TrustedFolder),
                true
            ),
        ]
    );
}

#[test]
fn every_folder_has_its_label_histogram() {
    let audit = audit(&family());
    type Name = (String, u64, Option<String>);
    let labels = |found: &Finding| -> Vec<(String, Vec<Name>)> {
        let of = found.labels.iter().map(|folder| {
            let names = folder.names.iter();
            let names = names.map(|n| (n.name.clone(), n.objects, n.brand.clone()));
            (folder.folder.clone(), names.collect())
        });
        of.collect()
    };
    let own = |name: &str, n| (name.to_owned(), n, None);
    assert_eq!(
        labels(of_kind(&audit, FindingKind::Family)),
        [
            ("acme-1".to_owned(), vec![own("acme-1", 3)]),
            ("acme-2".to_owned(), vec![own("acme-2", 3)]),
        ]
    );
    let foreign = of_kind(&audit, FindingKind::ForeignName);
    let acme = ("acme-2".to_owned(), 1, Some("Food/acme".to_owned()));
    assert_eq!(
        labels(foreign),
        [(
            "bolt".to_owned(),
            vec![own("bolt", 2), acme, own("nobody", 1)]
        )]
    );
    let [member] = foreign.members.as_slice() else {
        panic!("{:?}", foreign.members)
    };
    assert_eq!(
        (member.images, member.objects, member.named_as_folder),
        (1, 4, 2)
    );
    assert_eq!(member.boxes.unwrap().per_image, 4.0);
}

#[test]
fn a_long_histogram_is_cut_and_says_so() {
    let tree = RawTree::new();
    let names: Vec<String> = (0..20).map(|i| format!("name {i:02}")).collect();
    let objects: Vec<(&str, [i32; 4])> =
        names.iter().map(|n| (n.as_str(), [1, 1, 50, 50])).collect();
    tree.file("Food/bolt/1.jpg", "picture 1;")
        .file("Food/bolt/1.xml", xml(&objects));
    let audit = audit(&tree);
    let labels = &of_kind(&audit, FindingKind::MislabelledFolder).labels[0];
    assert_eq!((labels.names.len(), labels.others), (12, 8));
}

#[test]
fn odd_boxes_are_told_by_what_is_odd_about_them() {
    let audit = audit(&family());
    let mut odd = audit
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::OddBoxes);
    let odd = odd.find(|f| f.brand == "bolt").unwrap();
    // A box that ends a pixel beyond its picture counts pixels from 1: nothing odd.
    assert_eq!(
        odd.says,
        "One picture with oddities: boxes drawn twice (1), boxes outside the picture (1), boxes that reach out of the picture (1)."
    );
}
