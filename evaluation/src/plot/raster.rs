//! A drawn figure as pixels, with a font of our own, so that every machine gives the same.

use std::sync::Arc;

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Draws SVGs.
#[derive(Debug)]
pub struct Rasterizer {
    options: Options<'static>,
}

impl Rasterizer {
    /// With Ubuntu Light for all text: Latin, Greek and Cyrillic. The SVG shows every script that its reader has a font for.
    pub fn new() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        let family = fonts.faces().next().and_then(|face| face.families.first());
        if let Some((name, _)) = family.cloned() {
            fonts.set_sans_serif_family(name);
        }
        Self {
            options: Options {
                fontdb: Arc::new(fonts),
                ..Options::default()
            },
        }
    }

    /// The SVG as PNG, a pixel for each of its units.
    ///
    /// # Errors
    /// It is no SVG or has no area.
    pub fn png(&self, svg: &str) -> Result<Vec<u8>> {
        let tree = Tree::from_str(svg, &self.options).context("a figure cannot be rasterised")?;
        let size = tree.size().to_int_size();
        let mut pixels = Pixmap::new(size.width(), size.height()).context("a figure of no area")?;
        resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
        pixels.encode_png().context("a figure cannot be encoded")
    }
}

impl Default for Rasterizer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_our_letters_leave_ink_and_unknown_families_fall_back() {
        let draw = |word: &str| {
            let svg = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\"><rect width=\"100%\" height=\"100%\" fill=\"#FFF\"/><text x=\"2\" y=\"15\" font-size=\"16\" font-family=\"sans-serif\">{word}</text></svg>"
            );
            let png = Rasterizer::new().png(&svg).unwrap();
            let pixels = image::load_from_memory(&png).unwrap().to_luma8();
            assert_eq!(pixels.dimensions(), (40, 20));
            pixels.into_raw()
        };
        let blank = draw("");
        assert!(blank.iter().all(|&v| v == 255));
        let letters = ["a", "τ", "−", "·", "é", "≤", "…", "—", "→"];
        let drawn: Vec<_> = letters.into_iter().map(draw).collect();
        for (i, pixels) in drawn.iter().enumerate() {
            assert_ne!(*pixels, blank, "{}", letters[i]);
        }
        assert_ne!(draw("τ"), draw("\u{10FFFD}"), "a letter, not a box");
    }
}
