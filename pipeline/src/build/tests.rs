//! A build whose decoder refuses what the scan took for whole.

use logodex_dataset::Dataset;
use logodex_pixels::decode::{Seen, look};
use logodex_pixels::encode;

use super::*;
use crate::raw::scan::raw_tree::{RawTree, xml};
use crate::raw::scan::scan_with;
use crate::read::check::check;

fn jpeg(seed: usize) -> Vec<u8> {
    let pixels: Vec<u8> = (0..48 * 48 * 3)
        .map(|i| (i * (seed + 3) % 251) as u8)
        .collect();
    encode(&pixels, 48, 90).unwrap()
}

#[test]
fn an_image_that_the_scan_took_for_whole_is_left_out_and_all_others_are_numbered_without_it() {
    let (tree, whole) = (RawTree::new(), RawTree::new());
    for (n, brand) in ["a", "b", "c", "d"].iter().enumerate() {
        for i in 0..3 {
            let path = format!("Food/{brand}/{i}");
            let broken = [(1, 1), (3, 0), (3, 1), (3, 2)].contains(&(n, i));
            let bytes = match broken {
                true => format!("no image {n} {i}").into_bytes(),
                false => jpeg(3 * n + i),
            };
            tree.file(&format!("{path}.jpg"), &bytes);
            tree.file(&format!("{path}.xml"), xml(&[brand]));
            if !broken {
                whole.file(&format!("{path}.jpg"), &bytes);
                whole.file(&format!("{path}.xml"), xml(&[brand]));
            }
        }
    }
    let built = |tree: &RawTree, max_rejects: u64| {
        let out = tempfile::tempdir().unwrap();
        let config = BuildConfig {
            side: 300,
            shard_mib: 1,
            max_rejects,
            ..BuildConfig::default()
        };
        let options = BuildOptions {
            raw: tree.root().to_owned(),
            out: out.path().join("dataset"),
            plan: None,
            overrides: None,
            config: config.clone(),
            dry_run: false,
        };
        // Every file passes.
        let seen = |bytes: &[u8]| {
            let hash = blake3::hash(bytes);
            Ok(look(bytes).unwrap_or(Seen {
                width: 48,
                height: 48,
                phash: u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i])),
                quality: None,
            }))
        };
        let scan = scan_with(tree.root(), &seen, &|_, _| {}).unwrap();
        let made_from = freshness::built_from(tree.root(), &config, None, None).unwrap();
        let said = of_scan(&options, &config, &made_from, &scan);
        (out, said)
    };
    let (out, said) = built(&tree, 4);
    assert!(said.unwrap().contains("4 refused"));
    let dataset = out.path().join("dataset");
    check(&dataset).unwrap();
    let (other, said) = built(&whole, 0);
    said.unwrap();
    let (found, expected) = (
        Dataset::open(&dataset).unwrap(),
        Dataset::open(&other.path().join("dataset")).unwrap(),
    );
    assert_eq!((found.n_rows(), found.manifest().counts.images), (8, 8));
    assert_eq!(
        found.manifest().shards,
        expected.manifest().shards,
        "the same bytes"
    );
    let brands: Vec<u64> = found.brands().iter().map(|brand| brand.n_rows).collect();
    assert_eq!(brands, [3, 2, 3, 0], "a brand keeps its index");
    let listed = std::fs::read_to_string(dataset.join("rejects.jsonl")).unwrap();
    for path in [
        "Food/b/1.jpg",
        "Food/d/0.jpg",
        "Food/d/1.jpg",
        "Food/d/2.jpg",
    ] {
        assert!(listed.contains(path), "{listed}");
    }

    let (out, said) = built(&tree, 3);
    let error = said.unwrap_err();
    assert_eq!(logodex_program::failure::exit_code(&error), 3, "{error:#}");
    let listed = std::fs::read_to_string(out.path().join("dataset.rejects.jsonl")).unwrap();
    assert_eq!(
        listed.lines().count(),
        4,
        "all of them, not the first too many"
    );
}
