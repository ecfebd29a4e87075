//! Slices: kinds of queries whose numbers stand beside those of all. Only what is asked is narrowed, never what it is
//! compared with.
//!
//! They are told by what the dataset knows of a row. "Text-like" is a proxy: a box at least twice as wide as
//! high, as wordmarks are and emblems are not; nobody read the pictures.

use crate::embeddings::fold_index::FoldIndex;
use crate::facts::{Facts, Logo};
use crate::intervals::tally::MIN_BRANDS;

/// `few_images`: brands with at most so many source images among the rows judged.
pub const FEW_IMAGES: usize = 10;
/// `small_boxes`: rows whose box has a shorter side below so many source pixels, COCO's limit of "large" objects.
pub const SMALL_BOX_PX: u32 = 96;
/// `many_boxes`: rows whose source image has at least so many boxes.
pub const MANY_BOXES: u32 = 3;
/// `text_like`: rows whose box is at least so many times as wide as high.
pub const TEXT_ASPECT: u32 = 2;

/// A kind of query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// As in `evaluation.csv`.
    pub name: String,
    /// Whether each position of the fold is in it, `[N]`.
    pub positions: Vec<bool>,
    /// Whether each brand is in it, `[B]`, where the brand decides.
    pub brands: Option<Vec<bool>>,
}

/// The slices that hold rows of at least [`MIN_BRANDS`] brands but not all rows, and the names of those that do not.
pub fn slices(fold: &FoldIndex, facts: &Facts) -> (Vec<Slice>, Vec<String>) {
    let categories: Vec<String> = fold
        .brands
        .iter()
        .map(|brand| (facts.category)(i64::from(brand.index)))
        .collect();
    let mut names: Vec<&String> = categories.iter().collect();
    names.sort();
    names.dedup();
    let mut all: Vec<Slice> = names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| {
            let is_in = categories.iter().map(|category| category == name).collect();
            by_brand(format!("category: {name}"), is_in, fold)
        })
        .collect();
    let few = fold.brands.iter().map(|b| b.images.len() <= FEW_IMAGES);
    all.push(by_brand("few_images".to_owned(), few.collect(), fold));
    if let Some(logo) = &facts.logo {
        let by_row = |name: &str, is_in: &dyn Fn(Logo) -> bool| Slice {
            name: name.to_owned(),
            positions: fold.rows.iter().map(|&row| is_in(logo(row))).collect(),
            brands: None,
        };
        all.push(by_row("small_boxes", &|l| {
            l.width.min(l.height) < SMALL_BOX_PX
        }));
        all.push(by_row("many_boxes", &|l| l.boxes >= MANY_BOXES));
        all.push(by_row("text_like", &|l| l.width >= TEXT_ASPECT * l.height));
    }
    let owners = fold.brand_of_position();
    let is_enough = |slice: &Slice| {
        let mut brands: Vec<u32> = owners
            .iter()
            .zip(&slice.positions)
            .filter_map(|(&brand, &is_in)| is_in.then_some(brand))
            .collect();
        brands.dedup();
        brands.len() >= MIN_BRANDS && slice.positions.iter().any(|is_in| !is_in)
    };
    let (enough, rest): (Vec<Slice>, Vec<Slice>) = all.into_iter().partition(is_enough);
    (enough, rest.into_iter().map(|slice| slice.name).collect())
}

fn by_brand(name: String, brands: Vec<bool>, fold: &FoldIndex) -> Slice {
    let owners = fold.brand_of_position();
    Slice {
        name,
        positions: owners.iter().map(|&b| brands[b as usize]).collect(),
        brands: Some(brands),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_embeddings::set::EmbeddingSet;

    #[test]
    fn rows_fall_into_slices_by_what_the_dataset_says_of_them() {
        // Sixteen brands of 12 rows; the last ten show 3 source images each.
        let set = EmbeddingSet {
            dim: 1,
            embeddings: vec![1.0; 192],
            brand: (0..192).map(|row| row / 12).collect(),
            row: (0..192).collect(),
        };
        let image = |row: i64| if row < 72 { row } else { row / 4 + 200 };
        let fold = FoldIndex::new(&set, &image).unwrap();
        let logo = |row: i64| Logo {
            boxes: 1 + u32::from(row % 12 == 0) * 2,
            width: if row % 12 == 1 { 300 } else { 150 },
            height: if row < 24 { 95 } else { 100 },
        };
        let category = |brand: i64| ["Food", "Sports"][usize::from(brand >= 14)].to_owned();
        let facts = Facts {
            image_of_row: Box::new(image),
            brand_name: Box::new(|b| b.to_string()),
            category: Box::new(category),
            logo: Some(Box::new(logo)),
        };
        let (slices, small) = slices(&fold, &facts);
        let found: Vec<(&str, usize)> = slices
            .iter()
            .map(|s| (s.name.as_str(), s.positions.iter().filter(|p| **p).count()))
            .collect();
        assert_eq!(
            found,
            [
                ("category: Food", 168),
                ("few_images", 120),
                ("many_boxes", 16),
                ("text_like", 16)
            ]
        );
        assert_eq!(
            small,
            ["category: Sports", "small_boxes"],
            "of two brands each"
        );
        assert_eq!(slices[1].brands.as_ref().unwrap()[5..7], [false, true]);
    }
}
