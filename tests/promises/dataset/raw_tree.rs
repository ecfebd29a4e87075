//! The raw tree is never written, renamed or deleted.

use crate::workspace::{Workspace, contents};

#[test]
fn a_build_leaves_the_raw_tree_as_it_was() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 3 --images-per-brand 4 --seed 3 --quirks --defects",
    );
    let before = contents(&workspace.path("raw"));
    workspace.ok("logodex-data", "plan --raw raw --out plan.json");
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --plan plan.json",
    );
    assert!(before == contents(&workspace.path("raw")));
}
