//! Where each pixel of an augmented picture comes from: crop, perspective, flip and rotation as one homography and one
//! crop window, so that a picture is interpolated once.

use super::params::{ImageParams, Perspective, Window};

/// A 3×3 homography, row by row.
pub(super) type Matrix = [[f64; 3]; 3];

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// From the output back to the picture, by way of the frame: what the crop window becomes when it is enlarged to the
/// picture's size. Outside the frame all is black; within it, only what the window shows is seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mapping {
    /// Takes a point of the output to the point of the frame that is seen there; both in pixels, centres at ½.
    pub homography: Matrix,
    /// The frame's sides: width, height.
    pub frame: [f64; 2],
    /// From the frame to the picture, horizontally and vertically.
    pub crop: [Axis; 2],
}

/// One axis of the crop: coordinates in the frame (centres at ½) to coordinates in the picture (centres at 0, so that
/// whole numbers are pixels), which are offset + scale · x, but never outside first..=last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub offset: f64,
    pub scale: f64,
    pub first: f64,
    pub last: f64,
}

impl Axis {
    fn new(start: i64, length: i64, side: i64) -> Self {
        Self {
            offset: start as f64 - 0.5,
            scale: length as f64 / side as f64,
            first: start as f64,
            last: (start + length - 1) as f64,
        }
    }
}

impl Mapping {
    /// `None` where no pixel moves.
    pub fn new(params: &ImageParams, width: i64, height: i64) -> Option<Self> {
        let still = params.crop.is_none()
            && params.perspective.is_none()
            && !params.flip
            && params.rotation_deg == 0.0;
        if still {
            return None;
        }
        let window = params.crop.unwrap_or(Window {
            left: 0,
            top: 0,
            width,
            height,
        });
        Some(Self {
            homography: homography(params, width, height),
            frame: [width as f64, height as f64],
            crop: [
                Axis::new(window.left, window.width, width),
                Axis::new(window.top, window.height, height),
            ],
        })
    }
}

/// torchvision applies perspective, flip, rotation; a point is traced back through them in the opposite order.
fn homography(params: &ImageParams, width: i64, height: i64) -> Matrix {
    let (w, h) = (width as f64, height as f64);
    let flip = if params.flip {
        [[-1.0, 0.0, w], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    } else {
        IDENTITY
    };
    let back = match params.perspective {
        Some(perspective) => unwarp(&perspective, width, height),
        None => IDENTITY,
    };
    let (sin, cos) = params.rotation_deg.to_radians().sin_cos();
    let (cx, cy) = (w / 2.0, h / 2.0);
    let rotate = [
        [cos, -sin, cx - cos * cx + sin * cy],
        [sin, cos, cy - sin * cx - cos * cy],
        [0.0, 0.0, 1.0],
    ];
    product(&back, &product(&flip, &rotate))
}

/// `torchvision.transforms.functional._get_perspective_coeffs` for the corners that
/// `RandomPerspective.get_params` would have drawn: whole pixels, of the image's (0, 0) … (w−1, h−1).
fn unwarp(perspective: &Perspective, width: i64, height: i64) -> Matrix {
    let (right, bottom) = ((width - 1) as f64, (height - 1) as f64);
    let start = [[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]];
    let mut end = start;
    for (end, part) in end.iter_mut().zip(perspective.corners) {
        for (axis, side) in [(0, width), (1, height)] {
            // randint(0, int(scale · half) + 1), measured inwards from the corner.
            let reach = (perspective.scale * (side / 2) as f64).floor();
            let inwards = (part[axis] * (reach + 1.0)).floor();
            end[axis] += if end[axis] == 0.0 { inwards } else { -inwards };
        }
    }
    from_points(&end, &start)
}

/// The homography that takes each of four points to its image; the identity where there is none (three on a line).
fn from_points(from: &[[f64; 2]; 4], to: &[[f64; 2]; 4]) -> Matrix {
    let mut rows = [[0.0; 9]; 8]; // the equations, and their right-hand sides
    for (i, ([x, y], [u, v])) in from.iter().zip(to).enumerate() {
        rows[2 * i] = [*x, *y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, *u];
        rows[2 * i + 1] = [0.0, 0.0, 0.0, *x, *y, 1.0, -v * x, -v * y, *v];
    }
    // Gauss and Jordan's elimination with partial pivoting.
    for column in 0..8 {
        let pivot = (column..8)
            .max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))
            .unwrap_or(column);
        rows.swap(column, pivot);
        let lead = rows[column];
        if lead[column].abs() < 1e-9 {
            return IDENTITY;
        }
        for (index, row) in rows.iter_mut().enumerate() {
            if index != column {
                let factor = row[column] / lead[column];
                for (cell, lead) in row.iter_mut().zip(lead) {
                    *cell -= factor * lead;
                }
            }
        }
    }
    let c: [f64; 8] = std::array::from_fn(|i| rows[i][8] / rows[i][i]);
    [[c[0], c[1], c[2]], [c[3], c[4], c[5]], [c[6], c[7], 1.0]]
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_points_decide_a_homography() {
        let from = [[3.0, 1.0], [60.0, 5.0], [50.0, 61.0], [2.0, 48.0]];
        let to = [[0.0, 0.0], [63.0, 0.0], [63.0, 63.0], [0.0, 63.0]];
        let m = from_points(&from, &to);
        for ([x, y], [u, v]) in from.into_iter().zip(to) {
            let [a, b, c] = m.map(|row| row[0] * x + row[1] * y + row[2]);
            assert!((a / c - u).abs() < 1e-9 && (b / c - v).abs() < 1e-9);
        }
    }

    #[test]
    fn degenerate_corners_leave_the_image_alone() {
        let line = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]];
        let square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        assert_eq!(from_points(&line, &square), IDENTITY);
    }
}
