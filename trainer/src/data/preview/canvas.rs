//! A picture to draw on: filled rectangles, pixels of other pictures, and text.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// A colour.
pub type Color = [u8; 3];

/// How text is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// 24 px, bold.
    Title,
    /// 16 px, bold.
    Strong,
    /// 16 px.
    Plain,
}

impl Style {
    fn font(self) -> (FontWeight, RasterHeight) {
        match self {
            Self::Title => (FontWeight::Bold, RasterHeight::Size24),
            Self::Strong => (FontWeight::Bold, RasterHeight::Size16),
            Self::Plain => (FontWeight::Regular, RasterHeight::Size16),
        }
    }

    /// Pixels from one character to the next.
    pub fn advance(self) -> usize {
        let (weight, height) = self.font();
        get_raster_width(weight, height)
    }
}

/// A white picture that things are drawn on. What lies outside it is cut off.
pub struct Canvas {
    image: RgbImage,
}

impl Canvas {
    /// All white.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            image: RgbImage::from_pixel(width as u32, height as u32, Rgb([255; 3])),
        }
    }

    fn mix(&mut self, x: usize, y: usize, color: Color, alpha: u8) {
        if let Some(pixel) = self.image.get_pixel_mut_checked(x as u32, y as u32) {
            let alpha = u32::from(alpha);
            for (below, above) in pixel.0.iter_mut().zip(color) {
                let mixed = u32::from(*below) * (255 - alpha) + u32::from(above) * alpha;
                *below = ((mixed + 127) / 255) as u8;
            }
        }
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), color: Color) {
        for row in y..y + height {
            for column in x..x + width {
                self.mix(column, row, color, 255);
            }
        }
    }

    /// Draws a square picture of `side` pixels, RGB, scaled to `size` pixels.
    pub fn picture(&mut self, (x, y): (usize, usize), rgb: &[u8], side: usize, size: usize) {
        let Some(picture) = RgbImage::from_raw(side as u32, side as u32, rgb.to_vec()) else {
            return;
        };
        let scaled = resize(&picture, size as u32, size as u32, FilterType::CatmullRom);
        for (column, row, pixel) in scaled.enumerate_pixels() {
            self.mix(x + column as usize, y + row as usize, pixel.0, 255);
        }
    }

    /// Writes a line of at most `room` pixels, its upper left corner at (x, y); a longer one ends in two dots. A
    /// character that the font lacks becomes a question mark.
    pub fn text(
        &mut self,
        (x, y): (usize, usize),
        text: &str,
        style: Style,
        color: Color,
        room: usize,
    ) {
        let (weight, height) = style.font();
        let fits = room / style.advance();
        let mut characters: Vec<char> = text.chars().collect();
        if characters.len() > fits {
            characters.truncate(fits.saturating_sub(2));
            characters.extend(['.', '.']);
        }
        for (i, character) in characters.into_iter().enumerate() {
            let raster =
                get_raster(character, weight, height).or_else(|| get_raster('?', weight, height));
            let Some(raster) = raster else { continue };
            let left = x + i * style.advance();
            for (row, line) in raster.rows().enumerate() {
                for (column, &alpha) in line.iter().enumerate() {
                    self.mix(left + column, y + row, color, alpha);
                }
            }
        }
    }

    /// The picture as a PNG.
    ///
    /// # Errors
    /// The encoder's.
    pub fn png(&self) -> image::ImageResult<Vec<u8>> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        self.image.write_to(&mut bytes, image::ImageFormat::Png)?;
        Ok(bytes.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dark(canvas: &Canvas, columns: std::ops::Range<u32>) -> usize {
        let within = |(x, _, p): &(u32, u32, &Rgb<u8>)| columns.contains(x) && p.0[0] < 128;
        canvas.image.enumerate_pixels().filter(within).count()
    }

    #[test]
    fn text_is_drawn_and_cut_where_the_room_ends() {
        let mut canvas = Canvas::new(200, 20);
        let room = 8 * Style::Plain.advance();
        canvas.text((0, 0), "Häagen-Dazs and more", Style::Plain, [0; 3], room);
        assert!(dark(&canvas, 0..room as u32) > 50);
        assert_eq!(dark(&canvas, room as u32..200), 0);
        // Beyond the rim is no panic.
        canvas.text((190, 15), "漢", Style::Title, [0; 3], 100);
    }

    #[test]
    fn a_picture_keeps_its_colours_at_another_size() {
        let mut canvas = Canvas::new(12, 12);
        canvas.picture((2, 2), &[10, 200, 30].repeat(16), 4, 8);
        assert_eq!(canvas.image.get_pixel(5, 5).0, [10, 200, 30]);
        assert_eq!(canvas.image.get_pixel(1, 5).0, [255; 3]);
        let png = canvas.png().expect("a PNG");
        assert_eq!(image::load_from_memory(&png).expect("decoded").width(), 12);
    }
}
