// The augmentation of a batch in two kernels: the arithmetic of augment/pixels.rs, a thread for each pixel. Compiled at run
// time by torch/kernels.rs, without fused multiply-adds, so that a value differs from the CPU's by roundings alone.

// A picture's numbers, as augment/kernel.rs lists them.
enum { WARPED, HOMOGRAPHY, AXIS_X = HOMOGRAPHY + 9, AXIS_Y = AXIS_X + 4, GRAY = AXIS_Y + 4, STEPS, KINDS, FACTORS = KINDS + 4, NUMBERS = FACTORS + 4 };
// An axis of the crop window.
enum { OFFSET, SCALE, FIRST, LAST };
// Kinds of adjustment.
enum { BRIGHTNESS, CONTRAST, SATURATION, HUE };

struct Rgb {
  float channel[3];
};

__device__ float clamp01(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

__device__ float luma(const Rgb& p) { return p.channel[0] * 0.2989f + p.channel[1] * 0.587f + p.channel[2] * 0.114f; }

__device__ float cover(float at, float side) { return fminf(fmaxf(fminf(at + 0.5f, side + 0.5f - at), 0.0f), 1.0f); }

__device__ float place(float at, const float* axis) {
  return fminf(fmaxf(at * axis[SCALE] + axis[OFFSET], axis[FIRST]), axis[LAST]);
}

// The pixel that the output shows at (column, row), 0 to 1.
__device__ Rgb sample(const unsigned char* picture, const float* numbers, int column, int row, int width, int height) {
  Rgb out;
  if (numbers[WARPED] == 0.0f) {
    const unsigned char* pixel = picture + 3 * (row * width + column);
    for (int c = 0; c < 3; c++) out.channel[c] = (float)pixel[c] / 255.0f;
    return out;
  }
  const float* m = numbers + HOMOGRAPHY;
  const float along = (float)column + 0.5f, down = (float)row + 0.5f;
  const float w = m[6] * along + (m[7] * down + m[8]);
  const float in_x = (m[0] * along + (m[1] * down + m[2])) / w, in_y = (m[3] * along + (m[4] * down + m[5])) / w;
  const float x = place(in_x, numbers + AXIS_X), y = place(in_y, numbers + AXIS_Y);
  const int left = (int)x, top = (int)y, last = width * height - 1;
  const float right_part = x - (float)left, below_part = y - (float)top;
  const float scale = cover(in_x, (float)width) * cover(in_y, (float)height) * (1.0f / 255.0f);
  const float above = scale * (1.0f - below_part), below = scale * below_part;
  const float above_right = above * right_part, below_right = below * right_part;
  const float above_left = above * (1.0f - right_part), below_left = below * (1.0f - right_part);
  // At the last column and row the part beside is 0, and which pixel is read there makes no difference.
  const int at = top * width + left;
  const unsigned char *a = picture + 3 * at, *b = picture + 3 * min(at + 1, last);
  const unsigned char *c = picture + 3 * min(at + width, last), *d = picture + 3 * min(at + width + 1, last);
  for (int i = 0; i < 3; i++) {
    out.channel[i] = ((float)a[i] * above_left + (float)b[i] * above_right) + ((float)c[i] * below_left + (float)d[i] * below_right);
  }
  return out;
}

// Turns the hue by sixths of the circle.
__device__ Rgb turn_hue(const Rgb& p, float turn) {
  const float r = p.channel[0], g = p.channel[1], b = p.channel[2];
  const float most = fmaxf(fmaxf(r, g), b), range = most - fminf(fminf(r, g), b), divisor = fmaxf(range, 1e-12f);
  const float other = g == most ? (b - r) + divisor * 2.0f : (r - g) + divisor * 4.0f;
  const float hue = (r == most ? g - b : other) / divisor + turn;
  const float corners[3] = {5.0f, 3.0f, 1.0f};
  Rgb out;
  for (int c = 0; c < 3; c++) {
    float k = hue + corners[c];
    k = k < 0.0f ? k + 6.0f : k;
    k = k >= 6.0f ? k - 6.0f : k;
    k = k >= 6.0f ? k - 6.0f : k;
    out.channel[c] = most - range * clamp01(fminf(k, 4.0f - k));
  }
  return out;
}

__device__ Rgb adjust(Rgb p, int kind, float factor, float mean_luma) {
  if (kind == HUE) return turn_hue(p, factor * 6.0f);
  float rest = 0.0f;
  if (kind == CONTRAST) rest = mean_luma * (1.0f - factor);
  if (kind == SATURATION) rest = luma(p) * (1.0f - factor);
  for (int c = 0; c < 3; c++) p.channel[c] = clamp01(p.channel[c] * factor + rest);
  return p;
}

// The pixel after every step before `until`.
__device__ Rgb augmented(const unsigned char* picture, const float* numbers, int pixel, int until, float mean_luma, int width, int height) {
  Rgb p = sample(picture, numbers, pixel % width, pixel / width, width, height);
  if (numbers[GRAY] != 0.0f) p.channel[0] = p.channel[1] = p.channel[2] = luma(p);
  for (int step = 0; step < until; step++) p = adjust(p, (int)numbers[KINDS + step], numbers[FACTORS + step], mean_luma);
  return p;
}

__device__ int contrast_step(const float* numbers) {
  int step = 0;
  while (step < (int)numbers[STEPS] && (int)numbers[KINDS + step] != CONTRAST) step++;
  return step;
}

// Contrast needs the mean luma of the picture as it is then: its sum in gridDim.x parts, `sums` [pictures, parts]. 256
// threads at most. The order of additions is fixed.
extern "C" __global__ void luma_sums(const unsigned char* pictures, const float* numbers, float* sums, int width, int height) {
  __shared__ float shared[256];
  numbers += (long long)blockIdx.y * NUMBERS;
  const int contrast = contrast_step(numbers), n = width * height;
  if (contrast == (int)numbers[STEPS]) return;
  const unsigned char* picture = pictures + (long long)blockIdx.y * n * 3;
  float sum = 0.0f;
  for (int pixel = blockIdx.x * blockDim.x + threadIdx.x; pixel < n; pixel += gridDim.x * blockDim.x) {
    sum += luma(augmented(picture, numbers, pixel, contrast, 0.0f, width, height));
  }
  shared[threadIdx.x] = sum;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) sums[blockIdx.y * gridDim.x + blockIdx.x] = shared[0];
}

// u8 [pictures, height, width, 3] → fp32 of the same shape, less ImageNet's means, divided by its deviations.
extern "C" __global__ void augment(const unsigned char* pictures, const float* numbers, const float* sums, int parts, float* out, int width,
                                   int height) {
  const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
  const int n = width * height, pixel = blockIdx.x * blockDim.x + threadIdx.x;
  if (pixel >= n) return;
  numbers += (long long)blockIdx.y * NUMBERS;
  const int steps = (int)numbers[STEPS];
  float mean_luma = 0.0f;
  if (contrast_step(numbers) < steps) {
    double sum = 0.0;
    for (int part = 0; part < parts; part++) sum += (double)sums[blockIdx.y * parts + part];
    mean_luma = (float)(sum / (double)n);
  }
  const Rgb p = augmented(pictures + (long long)blockIdx.y * n * 3, numbers, pixel, steps, mean_luma, width, height);
  out += ((long long)blockIdx.y * n + pixel) * 3;
  for (int c = 0; c < 3; c++) out[c] = (p.channel[c] - mean[c]) / deviation[c];
}
