//! Every kind of odd or broken input has its documented outcome, and nothing else is lost with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use logodex_pipeline::build::parquet::read_catalog;
use logodex_pixels::{Format, Picture, decode};
use logodex_schemas::dataset::{CatalogRow, Reject, RejectReason};
use serde_json::Value;

use crate::workspace::{Workspace, binary};

/// What becomes of a kind of input.
enum Outcome {
    /// The image has its row.
    Kept(Format),
    /// The file is refused.
    Refused(RejectReason),
    /// One object is refused, and its image keeps its row.
    BoxRefused(RejectReason),
}

use Outcome::{BoxRefused, Kept, Refused};

/// The table of `docs/src/dataset.md`, by the names that `logodex-fixtures tree --defects` gives.
const KINDS: [(&str, Outcome); 45] = [
    ("grey_jpeg", Kept(Format::JpegGrey)),
    ("cmyk_jpeg", Kept(Format::JpegCmyk)),
    ("progressive_jpeg", Kept(Format::Jpeg)),
    ("exif_rotated_jpeg", Kept(Format::Jpeg)),
    ("one_pixel_jpeg", Kept(Format::Jpeg)),
    ("png_as_jpg", Kept(Format::Png)),
    ("png_16_as_jpg", Kept(Format::Png)),
    ("png_alpha_as_jpg", Kept(Format::Png)),
    ("gif_as_jpg", Kept(Format::Gif)),
    ("webp_as_jpg", Kept(Format::Webp)),
    ("xml_for_another_size", Kept(Format::Jpeg)),
    ("truncated_jpeg", Refused(RejectReason::ImageTruncated)),
    (
        "progressive_jpeg_cut",
        Refused(RejectReason::ImageTruncated),
    ),
    ("truncated_png", Refused(RejectReason::ImageTruncated)),
    ("empty_jpeg", Refused(RejectReason::ImageEmpty)),
    ("text_as_jpeg", Refused(RejectReason::ImageBroken)),
    ("twelve_bit_jpeg", Refused(RejectReason::ImageBroken)),
    ("jpeg_bomb", Refused(RejectReason::ImageTooLarge)),
    ("png_bomb", Refused(RejectReason::ImageTooLarge)),
    ("pipe", Refused(RejectReason::Unreadable)),
    ("dangling_link", Refused(RejectReason::Unreadable)),
    ("self_link", Refused(RejectReason::Unreadable)),
    ("folder_link_loop", Refused(RejectReason::Unreadable)),
    ("name_not_utf8", Refused(RejectReason::PathNotUtf8)),
    ("duplicate_stem", Refused(RejectReason::DuplicateStem)),
    (
        "image_without_annotation",
        Refused(RejectReason::AnnotationMissing),
    ),
    (
        "annotation_without_image",
        Refused(RejectReason::ImageMissing),
    ),
    ("unclosed_xml", Refused(RejectReason::AnnotationBroken)),
    ("empty_xml", Refused(RejectReason::AnnotationBroken)),
    ("xml_not_voc", Refused(RejectReason::AnnotationBroken)),
    ("entity_bomb", Refused(RejectReason::AnnotationBroken)),
    ("too_deep_xml", Refused(RejectReason::AnnotationBroken)),
    ("xml_not_utf8", Refused(RejectReason::AnnotationNotUtf8)),
    ("xml_utf16", Refused(RejectReason::AnnotationNotUtf8)),
    (
        "xml_without_object",
        Refused(RejectReason::AnnotationNoObject),
    ),
    ("inverted_box", BoxRefused(RejectReason::BoxInverted)),
    ("inverted_box_of_two", BoxRefused(RejectReason::BoxInverted)),
    ("zero_area_box", BoxRefused(RejectReason::BoxEmpty)),
    ("zero_area_box_of_two", BoxRefused(RejectReason::BoxEmpty)),
    ("outside_box", BoxRefused(RejectReason::BoxOutside)),
    ("outside_box_of_two", BoxRefused(RejectReason::BoxOutside)),
    ("wordy_box", BoxRefused(RejectReason::BoxNotANumber)),
    ("wordy_box_of_two", BoxRefused(RejectReason::BoxNotANumber)),
    ("nan_box", BoxRefused(RejectReason::BoxNotANumber)),
    ("nan_box_of_two", BoxRefused(RejectReason::BoxNotANumber)),
];

fn rejects(path: &Path) -> Vec<Reject> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn catalog(workspace: &Workspace) -> BTreeMap<String, CatalogRow> {
    read_catalog(&workspace.path("dataset/catalog.parquet"))
        .unwrap()
        .into_iter()
        .map(|row| (row.raw_image.clone(), row))
        .collect()
}

/// A tree with every defect, and where each lies.
fn odd_tree(workspace: &Workspace) -> (Value, BTreeMap<String, String>) {
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 5 --images-per-brand 3 --seed 31 --defects",
    );
    let truth: Value =
        serde_json::from_slice(&fs::read(workspace.path("raw/truth.json")).unwrap()).unwrap();
    let planted = truth["defects"].as_array().unwrap().iter().map(|defect| {
        let text = |key: &str| defect[key].as_str().unwrap().to_owned();
        (text("kind"), text("path"))
    });
    let planted = planted.collect();
    (truth, planted)
}

#[test]
fn every_kind_has_its_documented_outcome() {
    let workspace = Workspace::new();
    let (truth, planted) = odd_tree(&workspace);
    let named: BTreeSet<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        planted.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        named,
        "the kinds planted"
    );
    workspace.write("build.toml", "side = 16\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    workspace.ok("logodex-data", "check dataset");
    let refused = rejects(&workspace.path("dataset/rejects.jsonl"));
    let rows = catalog(&workspace);
    let stored = |image: &str| -> Picture {
        decode(&fs::read(workspace.path("raw/LogoDet-3K").join(image)).unwrap()).unwrap()
    };
    for (kind, outcome) in &KINDS {
        let path = &planted[*kind];
        let image = path.replace(".xml", ".jpg");
        let of_path: Vec<&Reject> = refused.iter().filter(|r| &r.path == path).collect();
        match outcome {
            Kept(format) => {
                assert!(of_path.is_empty(), "{kind}: {of_path:?}");
                let (row, picture) = (&rows[&image], stored(&image));
                assert_eq!(picture.format, *format, "{kind}");
                assert_eq!((row.width, row.height), (picture.width, picture.height));
            }
            Refused(reason) => {
                assert!(!rows.contains_key(&image), "{kind} has a row");
                assert_eq!(of_path.len(), 1, "{kind}: {of_path:?}");
                assert_eq!((of_path[0].reason, of_path[0].object), (*reason, None));
                assert!(!of_path[0].detail.is_empty());
            }
            BoxRefused(reason) => {
                assert!(rows.contains_key(&image), "{kind} has no row");
                assert_eq!(of_path.len(), 1, "{kind}: {of_path:?}");
                assert_eq!(of_path[0].reason, *reason);
                assert!(of_path[0].object.is_some());
            }
        }
    }
    let odd = KINDS.iter().filter(|k| !matches!(k.1, Kept(_))).count();
    assert_eq!(refused.len(), odd, "nothing else is refused");
    assert_eq!(Some(rows.len() as u64), truth["counts"]["kept"].as_u64());
    let healthy = 5 * 3;
    let kept = KINDS.iter().filter(|k| !matches!(k.1, Refused(_))).count();
    assert_eq!(rows.len(), healthy + kept, "nothing else is lost");

    // Boxes are in stored pixels, and so is the picture: the tag is 36 bytes behind the start marker.
    let path = workspace
        .path("raw/LogoDet-3K")
        .join(&planted["exif_rotated_jpeg"]);
    let bytes = fs::read(path).unwrap();
    assert!(bytes[2..].starts_with(b"\xff\xe1\x00\x22Exif\0\0"));
    let plain = [&bytes[..2], &bytes[38..]].concat();
    assert!(decode(&plain).unwrap() == decode(&bytes).unwrap());
    let one = stored(&planted["one_pixel_jpeg"]);
    assert_eq!((one.width, one.height, one.to_rgb().len()), (1, 1, 3));
    // Wholly transparent on the left: white.
    let faded = stored(&planted["png_alpha_as_jpg"]);
    assert_eq!(faded.to_rgb()[..3], [255, 255, 255]);
}

#[test]
fn more_rejects_than_allowed_are_exit_code_3_with_the_whole_list() {
    let workspace = Workspace::new();
    let (truth, _) = odd_tree(&workspace);
    let all = truth["rejects"].as_array().unwrap().len();
    workspace.write(
        "build.toml",
        &format!("side = 16\nmax_rejects = {}\n", all - 1),
    );
    let error = workspace.fails(
        3,
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    assert!(error.contains("max_rejects"), "{error}");
    assert!(!workspace.path("dataset").exists());
    assert_eq!(rejects(&workspace.path("dataset.rejects.jsonl")).len(), all);
    workspace.write("build.toml", &format!("side = 16\nmax_rejects = {all}\n"));
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
}

#[test]
fn what_permissions_forbid_is_refused_and_the_rest_is_built() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 3 --images-per-brand 4 --seed 6",
    );
    workspace.write("build.toml", "side = 16\n");
    let root = workspace.path("raw/LogoDet-3K");
    let mut pairs: Vec<String> = crate::workspace::contents(&root)
        .into_keys()
        .filter_map(|path| Some(path.strip_suffix(".jpg")?.to_owned()))
        .collect();
    pairs.sort();
    let brand = |pair: &str| pair.rsplit_once('/').unwrap().0.to_owned();
    let closed = brand(&pairs[11]);
    let forbidden = [
        format!("{}.jpg", pairs[0]),
        format!("{}.xml", pairs[1]),
        closed.clone(),
    ];
    let set =
        |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    for path in &forbidden {
        set(&root.join(path), 0o000);
    }
    // The superuser may read everything, so a build by the superuser is run as nobody.
    set(&workspace.path(""), 0o777);
    let program = workspace.path("logodex-data");
    fs::copy(binary("logodex-data").get_program(), &program).unwrap();
    let mut command = if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let output = command
        .args("build --raw raw --out dataset --config build.toml".split(' '))
        .current_dir(workspace.path(""))
        .output()
        .unwrap();
    for path in &forbidden {
        set(&root.join(path), 0o755);
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut expected: Vec<_> = forbidden
        .iter()
        .map(|path| (path.clone(), RejectReason::Unreadable))
        .collect();
    expected.sort();
    let refused: Vec<_> = rejects(&workspace.path("dataset/rejects.jsonl"))
        .into_iter()
        .map(|reject| (reject.path, reject.reason))
        .collect();
    assert_eq!(refused, expected);
    let rows = catalog(&workspace);
    let readable = pairs[2..].iter().filter(|pair| brand(pair) != closed);
    assert_eq!(
        rows.into_keys().collect::<Vec<_>>(),
        readable
            .map(|pair| format!("{pair}.jpg"))
            .collect::<Vec<_>>()
    );
}

#[test]
fn of_two_stems_that_differ_by_case_one_pair_stays() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 2 --images-per-brand 3 --seed 6",
    );
    workspace.write("build.toml", "side = 16\n");
    let root = workspace.path("raw/LogoDet-3K");
    let pairs: Vec<String> = crate::workspace::contents(&root)
        .into_keys()
        .filter_map(|path| Some(path.strip_suffix(".jpg")?.to_owned()))
        .collect();
    let folder = pairs[0].rsplit_once('/').unwrap().0;
    for (pair, stem) in [(&pairs[0], "Logo"), (&pairs[1], "logo")] {
        for extension in ["jpg", "xml"] {
            let to = root.join(format!("{folder}/{stem}.{extension}"));
            fs::rename(root.join(format!("{pair}.{extension}")), to).unwrap();
        }
    }
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    let refused = rejects(&workspace.path("dataset/rejects.jsonl"));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].path, format!("{folder}/logo.jpg"));
    assert_eq!(refused[0].reason, RejectReason::DuplicateStem);
    let rows = catalog(&workspace);
    assert!(rows.contains_key(&format!("{folder}/Logo.jpg")));
    assert_eq!(rows.len(), 5);
}
