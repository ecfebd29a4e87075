//! The files that embeddings come in, and those that are written beside an evaluation.

use super::*;

#[test]
fn numpy_files_with_their_rows_are_judged_as_the_same_safetensors_are() {
    let workspace = workspace();
    let set = embeddings(&[Val, Test]);
    let mut args = args(&workspace, &[file(&workspace, "any.safetensors", &set)]);
    let expected = result(&args);

    let npy = |name: &str, descr: &str, shape: String, data: Vec<u8>| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00\x80\x00".to_vec();
        bytes.extend(format!("{header:<127}\n").as_bytes());
        bytes.extend(data);
        let path = workspace.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let floats = set.embeddings.iter().flat_map(|x| x.to_le_bytes());
    let ints = set.row.iter().flat_map(|x| x.to_le_bytes());
    let any = npy(
        "any.npy",
        "<f4",
        format!("({}, 4)", set.len()),
        floats.collect(),
    );
    let rows = npy(
        "rows.npy",
        "<i8",
        format!("({},)", set.len()),
        ints.collect(),
    );
    let csv = workspace.path("rows.csv");
    let lines: Vec<String> = set.row.iter().map(|row| format!("x,{row}")).collect();
    fs::write(&csv, format!("name,row\n{}\n", lines.join("\n"))).unwrap();

    args.files.embeddings = vec![any.clone()];
    assert!(refusal(&args).contains("give --rows"));
    for rows in [rows, csv] {
        args.files.rows = vec![rows];
        assert_eq!(result(&args), expected);
    }
    // The content decides, not the name; what cannot be read names its line, or what it is.
    let unnamed = workspace.path("unnamed");
    fs::copy(&any, &unnamed).unwrap();
    args.files.embeddings = vec![unnamed.clone()];
    args.files.name = Some("any".to_owned());
    assert_eq!(result(&args), expected);
    args.files.embeddings = vec![any];
    fs::write(&unnamed, "row\n0\n1\nsecond\n").unwrap();
    args.files.rows = vec![unnamed.clone()];
    assert!(refusal(&args).contains("unnamed: not usable: line 4: \"second\" is no row number"));
    fs::write(&unnamed, b"PK\x03\x04").unwrap();
    assert!(refusal(&args).contains("NumPy's .npz"));
    let short = npy("short.npy", "<i8", "(2,)".to_owned(), vec![0; 16]);
    args.files.rows = vec![short];
    assert!(refusal(&args).contains("lists 2 rows, but"));
}

#[test]
fn every_picture_that_is_named_lies_beside_and_no_other_does() {
    let workspace = workspace();
    let mut set = embeddings(&[Val, Test]);
    // A row of the second brand lies among those of the first, so that something is confused.
    set.embeddings.copy_within(0..4, ROWS * 4);
    let mut args = args(&workspace, &[file(&workspace, "any.safetensors", &set)]);
    args.files.options.map_brands = Some("brand 07,brand 00,\"brand 04\"".to_owned());
    let evaluation = result(&args);
    let map = evaluation.map.as_ref().unwrap();
    let brands: Vec<&str> = map.points.iter().map(|p| &*p.picture.brand).collect();
    assert_eq!(
        brands,
        ["brand 00", "brand 04", "brand 07"]
            .map(|b| [b; 4])
            .concat(),
        "four source images each, a row of each"
    );
    assert_eq!(map.perplexity, 11.0 / 3.0);
    assert_eq!(evaluation.retrievals.len(), 9);
    assert!(!evaluation.confusions.is_empty());
    let mut named = std::collections::BTreeSet::new();
    for picture in evaluation.pictures() {
        let row = picture.row as usize;
        assert_eq!(picture.picture, format!("pictures/row-{row}.jpg"));
        assert_eq!(picture.brand, format!("brand {:02}", row / ROWS));
        if named.insert(row) {
            assert!(
                is_picture_of(&args.files.options.out.join(&picture.picture), row),
                "{row}"
            );
        }
    }
    let lying = fs::read_dir(args.files.options.out.join("pictures")).unwrap();
    assert_eq!(lying.count(), named.len());
    let counts = fs::read_to_string(args.files.options.out.join("confusion.csv")).unwrap();
    let queries = counts
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().unwrap());
    assert_eq!(
        queries.map(|n| n.parse::<usize>().unwrap()).sum::<usize>(),
        32
    );

    args.files.options.map_brands = None;
    let drawn = result(&args);
    assert_eq!(drawn.map, None, "no brand has five source images");
    assert_eq!(
        Evaluation {
            map: None,
            ..evaluation
        },
        drawn
    );
}
