//! What an object that names another brand than its folder's comes to.

use super::*;

#[test]
fn foreign_names_get_the_index_of_the_brand_they_name_unless_the_folder_is_wholly_mislabelled() {
    let tree = RawTree::new();
    tree.pair(
        "Food/Amora/1",
        1,
        &["Amora", "Heineken", "nobody", "Alcatel-2"],
    )
    .pair("Food/Heineken/1", 2, &["Heineken"])
    .pair("Electronic/Alcatel-1/1", 3, &["Alcatel-1", "Alcatel"])
    .pair("Electronic/Alcatel-2/1", 4, &["Alcatel-2"])
    .pair("Electronic/littmann/1", 5, &["Heineken"])
    .pair("Food/mohawk-7/1", 6, &["mohawk"])
    .pair("Food/same/1", 7, &["same"])
    .pair("Sports/same/1", 8, &["same"])
    .pair("Leisure/x/1", 9, &["same", "x"]);
    let plan = plan(&tree);
    let foreign: Vec<_> = plan
        .foreign_names
        .iter()
        .map(|f| {
            (
                f.folder.as_str(),
                f.name.as_str(),
                f.brand.as_deref(),
                f.whole_folder,
            )
        })
        .collect();
    assert_eq!(
        foreign,
        [
            ("littmann", "Heineken", Some("Heineken"), true),
            ("Amora", "Alcatel-2", Some("Alcatel"), false),
            ("Amora", "Heineken", Some("Heineken"), false),
            ("Amora", "nobody", None, false),
            ("x", "same", None, false),
        ]
    );
    let alcatel = plan.groups.iter().find(|g| g.brand == "Alcatel").unwrap();
    assert_eq!(alcatel.effect.relabelled, 2, "Alcatel-1 and Alcatel-2");
    let catalog = catalog(&tree, &plan);
    let names: Vec<&str> = catalog.brands.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Alcatel", "Amora", "Heineken", "littmann", "mohawk-7", "same", "same", "x"
        ]
    );
    let indices: Vec<&[u32]> = catalog
        .samples
        .iter()
        .map(|s| s.object_indices.as_slice())
        .collect();
    let expected: [&[u32]; 9] = [
        &[0, 0],
        &[0],
        &[1, 2, 1, 0],
        &[2],
        &[3],
        &[4],
        &[5],
        &[6],
        &[7, 7],
    ];
    assert_eq!(indices, expected);
}
