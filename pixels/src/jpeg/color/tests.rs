//! Colours against JFIF's equations, and the forms of the code against each other. Upsampling is judged by Pillow's
//! pixels, in `decode`.

use super::*;
use crate::jpeg::samples::ComponentSamples;
use crate::simd::plainly;

fn component(
    (width, height): (usize, usize),
    expand: (usize, usize),
    sample: impl Fn(usize, usize) -> u8,
) -> ComponentSamples {
    let stride = width.next_multiple_of(8);
    let samples = (0..stride * height.next_multiple_of(8)).map(|i| sample(i % stride, i / stride));
    ComponentSamples {
        samples: samples.collect(),
        side: (8, 8),
        blocks: Vec::new(),
        stride,
        width,
        height,
        expand,
    }
}

fn rgb(samples: &Samples, width: usize, height: usize) -> [Vec<u8>; 3] {
    let mut planes = [0; 3].map(|_| vec![0; width * height]);
    let [r, g, b] = &mut planes;
    samples.to_rgb(width, [r, g, b]);
    planes
}

#[test]
fn colors_are_those_of_jfif_to_the_nearest_level() {
    // Every pair of chroma; luma changes from row to row.
    for luma in [0, 1, 77, 128, 200, 255] {
        let samples = Samples {
            components: [
                component((256, 256), (1, 1), |_, y| (luma as usize + y / 100) as u8),
                component((256, 256), (1, 1), |x, _| x as u8),
                component((256, 256), (1, 1), |_, y| y as u8),
                ComponentSamples::default(),
            ],
            colors: Colors::Ycc,
            unstuffed: Vec::new(),
        };
        let planes = rgb(&samples, 256, 256);
        assert_eq!(planes, plainly(|| rgb(&samples, 256, 256)));
        for i in 0..256 * 256 {
            let y = f64::from(samples.components[0].samples[i]);
            let (cb, cr) = ((i % 256) as f64 - 128.0, (i / 256) as f64 - 128.0);
            let exact = [
                y + 1.402 * cr,
                y - 0.344136 * cb - 0.714136 * cr,
                y + 1.772 * cb,
            ];
            for (plane, exact) in planes.iter().zip(exact) {
                let error = (f64::from(plane[i]) - exact.clamp(0.0, 255.0)).abs();
                assert!(error < 0.503, "{y} {cb} {cr}: {} for {exact}", plane[i]);
            }
        }
    }
}

#[test]
fn every_width_and_sampling_comes_to_the_same_in_both_forms() {
    let noise = |seed: usize| move |x: usize, y: usize| (x * 151 + y * 77 + seed * x * y) as u8;
    for (h, v) in [(1, 1), (2, 1), (2, 2)] {
        for width in (1..70usize).chain([255, 256, 257]) {
            let height = 1 + width % 5;
            let (w, t) = (width.div_ceil(h), height.div_ceil(v));
            let samples = Samples {
                components: [
                    component((width, height), (1, 1), noise(1)),
                    component((w, t), (h, v), noise(2)),
                    component((w, t), (h, v), noise(3)),
                    ComponentSamples::default(),
                ],
                colors: Colors::Ycc,
                unstuffed: Vec::new(),
            };
            let planes = rgb(&samples, width, height);
            assert_eq!(planes, plainly(|| rgb(&samples, width, height)), "{width}");
            // The last column and the first, by hand.
            let at =
                |c: &ComponentSamples, x: usize, y: usize| i32::from(c.samples[y * c.stride + x]);
            let chroma = |c: &ComponentSamples, x: usize, y: usize| -> i32 {
                if v == 2 && w > 2 {
                    let far = if y.is_multiple_of(2) {
                        (y / 2).saturating_sub(1)
                    } else {
                        (y / 2 + 1).min(t - 1)
                    };
                    return (4 * (3 * at(c, x / h, y / 2) + at(c, x / h, far)) + 8
                        - (x % 2) as i32)
                        >> 4;
                }
                at(c, x / h, y / v)
            };
            for y in 0..height {
                let ends = [Some(0), (width % h == 0).then_some(width - 1)];
                for x in ends.into_iter().flatten() {
                    let cr = chroma(&samples.components[2], x, y) - 128;
                    let luma = at(&samples.components[0], x, y);
                    let red = luma + ((cr * 91_881 + (1 << 15)) >> 16);
                    let got = i32::from(planes[0][y * width + x]);
                    assert_eq!(
                        got,
                        red.clamp(0, 255),
                        "{width} × {height}, {x} {y}, {h} {v}"
                    );
                }
            }
        }
    }
}
