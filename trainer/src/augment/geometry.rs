//! Perspective, flip and rotation as one homography per image and one bilinear sampling of the batch.

use tch::{Device, Kind, Tensor};

use super::{ImageParams, Perspective};

/// A 3×3 homography, row by row.
type Matrix = [[f64; 3]; 3];

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Images `[B, 3, H, W]` under their perspective, flip and rotation; 0 from outside the picture.
pub(super) fn warp(images: &Tensor, params: &[ImageParams]) -> Tensor {
    let size = images.size();
    let (height, width) = (size[2], size[3]);
    let moved: Vec<i64> = (0..)
        .zip(params)
        .filter(|(_, p)| p.perspective.is_some() || p.flip || p.rotation_deg != 0.0)
        .map(|(index, _)| index)
        .collect();
    if moved.is_empty() {
        return images.copy();
    }
    let matrices: Vec<f32> = params
        .iter()
        .flat_map(|p| between_normalized(&homography(p, width, height), width, height))
        .flatten()
        .map(|number| number as f32)
        .collect();
    let matrices = Tensor::from_slice(&matrices)
        .view([-1, 3, 3])
        .to_device(images.device());
    let grid = base_grid(width, height, images.device()).matmul(&matrices.transpose(1, 2)); // [B, H·W, 3]
    let points = grid.narrow(2, 0, 2) / grid.narrow(2, 2, 1);
    let points = points.view([-1, height, width, 2]);
    let warped = images.grid_sampler(&points, 0, 0, false); // bilinear, zeros
    if moved.len() == params.len() {
        return warped;
    }
    // An image that does not move keeps its bits, whatever moves beside it.
    let moved = Tensor::from_slice(&moved).to_device(images.device());
    let mut out = images.copy();
    let _ = out.index_copy_(0, &moved, &warped.index_select(0, &moved));
    out
}

/// Takes a point of the output, in pixels with centres at ½, to the point of the input that is seen there. torchvision
/// applies perspective, flip, rotation; a point is traced back through them in the opposite order.
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

/// The same homography between `grid_sampler`'s coordinates, in which a side runs from −1 to 1.
fn between_normalized(pixels: &Matrix, width: i64, height: i64) -> Matrix {
    let (w, h) = (width as f64 / 2.0, height as f64 / 2.0);
    let to_pixels = [[w, 0.0, w], [0.0, h, h], [0.0, 0.0, 1.0]];
    let from_pixels = [[1.0 / w, 0.0, -1.0], [0.0, 1.0 / h, -1.0], [0.0, 0.0, 1.0]];
    product(&from_pixels, &product(pixels, &to_pixels))
}

/// Homogeneous normalised coordinates of every pixel's centre, row by row: `[H·W, 3]`.
fn base_grid(width: i64, height: i64, device: Device) -> Tensor {
    let centres = |n: i64| {
        let steps = Tensor::arange(n, (Kind::Float, device));
        (steps * 2.0 + 1.0) / n as f64 - 1.0
    };
    let x = centres(width)
        .view([1, width])
        .expand([height, width], false);
    let y = centres(height)
        .view([height, 1])
        .expand([height, width], false);
    Tensor::stack(&[&x, &y, &x.ones_like()], 2).view([-1, 3])
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
