//! What the sampler is given of a fold.

use logodex_dataset::Dataset;
use logodex_sampling::FoldRows;
use logodex_schemas::dataset::Region;
use logodex_schemas::split::Fold;

use crate::support::Workspace;

#[test]
fn a_fold_is_its_brands_and_their_rows() {
    let w = Workspace::small();
    let dataset = Dataset::open(&w.dataset).expect("opens");
    let split = dataset.split("s").expect("split");
    let val = dataset.fold(&split, Fold::Val);
    assert_eq!(val.iter().map(|b| b.index).collect::<Vec<_>>(), [2, 5]);
    let rows = FoldRows::new(&dataset, &val, Region::Both);
    assert_eq!(rows.brands[1].rows, [20, 21, 22, 23]);
    assert_eq!(rows.brands[1].images, [10, 10, 11, 11]);
}
