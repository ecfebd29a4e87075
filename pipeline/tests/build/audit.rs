//! `logodex-data audit`: poor pictures and similar ones are found where they were planted, with the numbers that say so, and
//! nothing else is.

use std::collections::BTreeMap;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, RgbImage};
use logodex_pixels::look;
use logodex_schemas::plan::audit::{Audit, FindingKind, audit_header};
use logodex_schemas::split::Fold;

use crate::tree::{Tree, xml};

const SIZE: (u32, u32) = (480, 360);

/// A busy picture: patches of many colours, others from seed to seed.
fn scene((width, height): (u32, u32), seed: u32) -> RgbImage {
    let mut state = u64::from(seed) + 1;
    let mut next = move |below: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % below
    };
    let mut image = RgbImage::from_pixel(width, height, image::Rgb([140, 150, 130]));
    for _ in 0..150 {
        let (left, top) = (next(width), next(height));
        let (right, bottom) = (left + 4 + next(90), top + 4 + next(70));
        let color = image::Rgb([next(256), next(256), next(256)].map(|c| c as u8));
        for y in top..bottom.min(height) {
            for x in left..right.min(width) {
                image.put_pixel(x, y, color);
            }
        }
    }
    image
}

fn changed(image: &RgbImage, by: impl Fn(f64) -> f64) -> RgbImage {
    let mut image = image.clone();
    for value in image.iter_mut() {
        *value = by(f64::from(*value)) as u8;
    }
    image
}

fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = image.dimensions();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode(image, width, height, ExtendedColorType::Rgb8)
        .expect("a JPEG");
    bytes
}

impl Tree {
    fn picture(&self, brand: &str, n: u32, image: &RgbImage) {
        let objects = [(brand, [2, 2, 40, 40])];
        self.pair("Food", brand, n, &jpeg(image), &xml(&objects));
    }

    fn audit(&self, options: &str) -> Audit {
        self.ok(&format!("audit --raw @raw --out @audit {options}"));
        let json = std::fs::read(self.path("audit/audit.json")).expect("an audit");
        audit_header().parse(&json).expect("it parses")
    }
}

/// Two brands of sound pictures, and a picture of every defect in the first.
fn with_poor_pictures() -> (Tree, Vec<(FindingKind, u32)>) {
    let tree = Tree::new();
    for n in 0..12 {
        tree.picture("plain", n, &scene(SIZE, n));
        tree.picture("other", n, &scene(SIZE, 100 + n));
    }
    let sound = scene(SIZE, 50);
    let grey = DynamicImage::ImageRgb8(scene(SIZE, 51)).to_luma8();
    let mut flat = RgbImage::from_pixel(SIZE.0, SIZE.1, image::Rgb([60, 120, 220]));
    flat.put_pixel(200, 200, image::Rgb([255, 0, 0]));
    let planted = [
        (FindingKind::DarkPictures, changed(&sound, |v| v * 0.1)),
        (
            FindingKind::LightPictures,
            changed(&scene(SIZE, 52), |v| 252.0 - v * 0.02),
        ),
        (
            FindingKind::BlurryPictures,
            image::imageops::blur(&scene(SIZE, 53), 16.0),
        ),
        (
            FindingKind::GreyPictures,
            DynamicImage::ImageLuma8(grey).to_rgb8(),
        ),
        (FindingKind::LowInformation, flat),
        (FindingKind::OddSize, scene((60, 50), 54)),
        (FindingKind::OddAspect, scene((600, 180), 55)),
    ];
    let mut expected = Vec::new();
    for (n, (kind, image)) in (20..).zip(planted) {
        tree.picture("plain", n, &image);
        expected.push((kind, n));
    }
    (tree, expected)
}

#[test]
fn poor_pictures_are_found_where_they_were_planted_and_nowhere_else() {
    let (tree, expected) = with_poor_pictures();
    let audit = tree.audit("");
    let limits = audit.quality;
    let mut found: BTreeMap<FindingKind, Vec<&str>> = BTreeMap::new();
    for finding in audit.findings.iter().filter(|f| !f.flagged.is_empty()) {
        assert_eq!(
            (finding.brand.as_str(), finding.category.as_str()),
            ("plain", "Food")
        );
        assert!(finding.id.ends_with(": Food/plain"), "{}", finding.id);
        let images = finding.flagged.iter().map(|f| f.image.as_str());
        found.insert(finding.kind, images.collect());
        assert_eq!(finding.subjects.len(), finding.flagged.len());
        assert_eq!(finding.weight as usize, finding.flagged.len());
        // What is shown is what was flagged, in that order.
        for (&at, flagged) in finding.alone.iter().zip(&finding.flagged) {
            assert_eq!(audit.pictures[at as usize].image, flagged.image);
        }
        let value = finding.flagged[0].value;
        assert!(match finding.kind {
            FindingKind::DarkPictures => value < limits.dark_below,
            FindingKind::LightPictures => value > limits.light_above,
            FindingKind::BlurryPictures => value < limits.blurry_edges_below,
            FindingKind::GreyPictures => value <= f64::from(limits.grey_up_to),
            FindingKind::LowInformation => value < limits.entropy_below,
            FindingKind::OddSize => value < limits.size_from,
            FindingKind::OddAspect => value < limits.aspect_below,
            kind => panic!("{kind:?}"),
        });
    }
    for (kind, n) in expected {
        let image = format!("Food/plain/{n}.jpg");
        assert!(
            found[&kind].contains(&image.as_str()),
            "{kind:?}: {found:?}"
        );
        // Dark and light pictures have hardly a colour or an edge left: they may be that, too.
        let alone = [
            FindingKind::LowInformation,
            FindingKind::OddAspect,
            FindingKind::DarkPictures,
        ];
        assert!(
            !alone.contains(&kind) || found[&kind].len() == 1,
            "{found:?}"
        );
    }
    let sound = |image: &&str| {
        let stem = image
            .rsplit(['/', '.'])
            .nth(1)
            .and_then(|n| n.parse::<u32>().ok());
        stem.is_some_and(|n| n < 20)
    };
    assert!(!found.values().flatten().any(sound), "{found:?}");

    // What is accepted is not asked again, though a picture is added.
    let accept =
        "[[accept]]\nfinding = \"dark_pictures: Food/plain\"\nreason = \"a night brand\"\n";
    tree.write("answers.toml", accept);
    tree.picture("plain", 40, &changed(&scene(SIZE, 56), |v| v * 0.08));
    let audit = tree.audit("--overrides @answers.toml");
    let dark = audit
        .findings
        .iter()
        .find(|f| f.kind == FindingKind::DarkPictures);
    let dark = dark.expect("it is there");
    assert!(dark.answered && dark.flagged.len() == 2);
    let markdown = std::fs::read_to_string(tree.path("audit/audit.md")).expect("text");
    assert!(
        markdown.contains("2 pictures are dark: 99 % of the pixels have a brightness below 0.32")
    );
}

/// The picture with a shadow, so strong that its look differs in five to eight bits.
fn similar_to(image: &RgbImage) -> RgbImage {
    let phash = |image: &RgbImage| look(&jpeg(image)).expect("a look").phash;
    let with_shadow = |strength: u32| {
        let mut image = image.clone();
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            if x * 2 + y * 3 < 900 {
                pixel.0 = pixel
                    .0
                    .map(|v| (u32::from(v) * (100 - strength) / 100) as u8);
            }
        }
        image
    };
    let candidates = (0..100).map(with_shadow);
    let far = |other: &RgbImage| (phash(image) ^ phash(other)).count_ones();
    let mut similar = candidates.filter(|other| (5..=8).contains(&far(other)));
    similar.next().expect("a shadow of some strength")
}

#[test]
fn similar_pictures_of_several_brands_are_groups_and_their_folds_are_said() {
    let tree = Tree::usual();
    let base = scene(SIZE, 7);
    let similar = similar_to(&base);
    tree.picture("one", 1, &base);
    tree.picture("two", 1, &similar);
    // Of one brand it is nobody's concern.
    tree.picture("three", 1, &scene(SIZE, 8));
    tree.picture("three", 2, &similar_to(&scene(SIZE, 8)));
    for brand in ["one", "two", "three"] {
        tree.picture(
            brand,
            9,
            &scene(
                SIZE,
                brand.len() as u32 * 31 + u32::from(brand.as_bytes()[1]),
            ),
        );
    }
    let of = |audit: &Audit, kind: FindingKind| {
        let found = audit.findings.iter().filter(|f| f.kind == kind);
        found.cloned().collect::<Vec<_>>()
    };
    let audit = tree.audit("");
    assert!(of(&audit, FindingKind::NearPicture).is_empty());
    let found = of(&audit, FindingKind::SimilarPicture);
    let [similar] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(similar.subjects, ["Food/one/1.jpg", "Food/two/1.jpg"]);
    let distance = similar.pairs[0].distance.expect("a distance");
    assert!((5..=8).contains(&distance), "{distance}");
    assert!(similar.folds.is_empty());

    tree.ok("build --raw @raw --out @dataset");
    // Some seed puts the two into two folds, and some into one.
    let mut seen = [false; 2];
    for seed in 0..40 {
        tree.ok(&format!(
            "split --dataset @dataset --name s{seed} --seed {seed} --test 0.3 --val 0.3"
        ));
        let csv = std::fs::read_to_string(tree.path(&format!("dataset/splits/s{seed}.csv")))
            .expect("a split");
        let fold = |brand: &str| {
            let line = csv
                .lines()
                .find(|line| line.contains(&format!(",\"{brand}\",")));
            line.and_then(|line| line.rsplit('"').nth(1))
                .map(str::to_owned)
        };
        assert!(fold("one").is_some() && fold("two").is_some());
        let apart = fold("one") != fold("two");
        if std::mem::replace(&mut seen[usize::from(apart)], true) {
            continue;
        }
        let audit = tree.audit(&format!("--dataset @dataset --split s{seed}"));
        let found = &of(&audit, FindingKind::SimilarPicture)[0];
        assert_eq!(
            found.folds.len(),
            if apart { 2 } else { 0 },
            "{:?}",
            found.folds
        );
        assert_eq!(apart, found.says.contains("They lie in several folds"));
        let names: Vec<&str> = found.folds.iter().map(|fold: &Fold| fold.name()).collect();
        assert!(
            names
                .iter()
                .all(|name| Some(*name) == fold("one").as_deref()
                    || Some(*name) == fold("two").as_deref())
        );
    }
    assert_eq!(seen, [true, true]);
    let text = tree.fails(
        2,
        "audit --raw @raw --out @audit --dataset @dataset --split none",
    );
    assert!(
        text.contains("there is no such split") && text.contains("s0"),
        "{text}"
    );
    // A brand that the dataset has not is in no fold, which is said.
    tree.picture("new", 1, &scene(SIZE, 77));
    let said = tree.ok("audit --raw @raw --out @audit --dataset @dataset --split s0");
    assert!(
        said.contains("1 brands are in no fold of the split s0"),
        "{said}"
    );
}

#[test]
fn a_family_says_how_much_of_it_looks_alike() {
    let tree = Tree::new();
    let base = scene(SIZE, 3);
    tree.picture("twin-1", 1, &base);
    tree.picture("twin-1", 2, &scene(SIZE, 4));
    tree.picture("twin-2", 1, &similar_to(&base));
    tree.picture("twin-2", 2, &changed(&scene(SIZE, 4), |v| v * 0.97));
    tree.picture("twin-2", 3, &scene(SIZE, 5));
    let audit = tree.audit("");
    let family = audit
        .findings
        .iter()
        .find(|f| f.kind == FindingKind::Family);
    let looks = &family.expect("a family").looks;
    assert_eq!(looks.len(), 1);
    let look = &looks[0];
    assert_eq!((look.a.as_str(), look.b.as_str()), ("twin-1", "twin-2"));
    assert_eq!((look.a_within_4, look.b_within_4), (1, 1));
    assert_eq!((look.a_within_8, look.b_within_8), (2, 2));
}
