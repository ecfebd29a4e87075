//! Decoded pixels, a plane for each colour: what is done next, resizing, treats the colours one by one.

/// How an image file is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JPEG in colour.
    #[default]
    Jpeg,
    /// JPEG of one component.
    JpegGrey,
    /// JPEG of four components: CMYK or YCCK.
    JpegCmyk,
    /// PNG of any depth.
    Png,
    /// GIF, of which the first frame is taken.
    Gif,
    /// WebP; of an animation the first frame is taken.
    Webp,
}

/// Bytes behind the last plane: whoever reads a row in whole steps may read so far beyond its end.
const BEYOND: usize = 32;

/// A decoded image: eight bits each of red, green and blue, in planes.
///
/// ```
/// use logodex_pixels::{Format, Picture};
///
/// let picture = Picture::from_rgb(Format::Png, 2, 1, &[255, 0, 0, 10, 20, 30]);
/// assert_eq!(picture.plane(0), [255, 10]);
/// assert_eq!(picture.row(0).last(), Some([10, 20, 30]));
/// assert_eq!(picture.to_rgb(), [255, 0, 0, 10, 20, 30]);
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Picture {
    /// How the file was coded.
    pub format: Format,
    /// Width of the image, pixels.
    pub width: u32,
    /// Height of the image, pixels.
    pub height: u32,
    /// How often its sides were halved in decoding.
    pub(crate) halvings: u32,
    /// `[3, height, width]` as stored: red, green, blue; then [`BEYOND`] zeros.
    planes: Vec<u8>,
}

impl Picture {
    /// From `[height, width, 3]`.
    ///
    /// # Panics
    /// Pixels of another length: a mistake of the caller.
    pub fn from_rgb(format: Format, width: u32, height: u32, rgb: &[u8]) -> Self {
        let mut picture = Self::default();
        picture.reset(format, width, height, 0);
        picture.set_rgb(rgb);
        picture
    }

    /// Makes room for another picture. What its pixels hold is not said.
    pub(crate) fn reset(&mut self, format: Format, width: u32, height: u32, halvings: u32) {
        (self.format, self.width, self.height) = (format, width, height);
        self.halvings = halvings;
        self.planes.resize(self.pixels() * 3 + BEYOND, 0);
        let beyond = self.planes.len() - BEYOND;
        self.planes[beyond..].fill(0);
    }

    /// Takes `[height, width, 3]`.
    pub(crate) fn set_rgb(&mut self, rgb: &[u8]) {
        assert_eq!(rgb.len(), self.pixels() * 3);
        self.set_each(
            rgb.chunks_exact(3)
                .map(|pixel| [pixel[0], pixel[1], pixel[2]]),
        );
    }

    /// Takes the pixels one by one.
    pub(crate) fn set_each(&mut self, pixels: impl Iterator<Item = [u8; 3]>) {
        let [red, green, blue] = self.planes_mut();
        let places = red.iter_mut().zip(green).zip(blue);
        for (((red, green), blue), pixel) in places.zip(pixels) {
            [*red, *green, *blue] = pixel;
        }
    }

    /// Red, green and blue, `[height, width]` each.
    pub(crate) fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let pixels = self.pixels();
        let (red, rest) = self.planes.split_at_mut(pixels);
        let (green, rest) = rest.split_at_mut(pixels);
        [red, green, &mut rest[..pixels]]
    }

    /// Width and height as stored, pixels: the image's, but for what [`with_reduced`](crate::with_reduced) reduced.
    pub fn stored(&self) -> (usize, usize) {
        let reduced = |length: u32| length.div_ceil(1 << self.halvings) as usize;
        (reduced(self.width), reduced(self.height))
    }

    fn pixels(&self) -> usize {
        let (width, height) = self.stored();
        width * height
    }

    /// A colour's pixels (0 is red, 1 green, 2 blue), row by row, `[height, width]` as stored.
    pub fn plane(&self, color: usize) -> &[u8] {
        &self.padded_plane(color)[..self.pixels()]
    }

    /// As [`Picture::plane`], with at least 32 bytes of no meaning behind.
    pub(crate) fn padded_plane(&self, color: usize) -> &[u8] {
        &self.planes[color * self.pixels()..]
    }

    /// Row `y` of those stored, pixel by pixel.
    pub fn row(&self, y: usize) -> impl Iterator<Item = [u8; 3]> {
        let (width, _) = self.stored();
        let [red, green, blue] = [0, 1, 2].map(|color| &self.plane(color)[y * width..][..width]);
        let pixels = red.iter().zip(green).zip(blue);
        pixels.map(|((&red, &green), &blue)| [red, green, blue])
    }

    /// `[height, width, 3]` as stored.
    pub fn to_rgb(&self) -> Vec<u8> {
        let mut rgb = vec![0; self.pixels() * 3];
        self.write_rgb(&mut rgb);
        rgb
    }

    /// Writes the pixels into `out`, `[height, width, 3]` as stored.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn write_rgb(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.pixels() * 3);
        let planes = self.plane(0).iter().zip(self.plane(1)).zip(self.plane(2));
        for (pixel, ((&red, &green), &blue)) in out.chunks_exact_mut(3).zip(planes) {
            pixel.copy_from_slice(&[red, green, blue]);
        }
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.planes.capacity()
    }
}
