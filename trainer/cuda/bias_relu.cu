// What follows the convolution of a frozen layer, in one pass over its output instead of three: the bias, the way around,
// the ReLU. Channels-last memory, so that neighbouring values are neighbouring channels; 16 bytes a thread.

struct __align__(16) Vector {
  unsigned int word[4];
};

__device__ float of_bits(unsigned int bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

__device__ unsigned int to_bits(float x) {
  unsigned int bits;
  memcpy(&bits, &x, 4);
  return bits;
}

// bfloat16, rounded to nearest, ties to even; what is no number stays none.
__device__ unsigned int rounded(float x) {
  const unsigned int bits = to_bits(x);
  if (x != x) return 0x7fc0u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

__device__ float finished(float x, float bias, float around, int relu) {
  const float sum = (x + bias) + around;
  return relu && sum < 0.0f ? 0.0f : sum;
}

// x [n vectors] of bfloat16, in place; bias fp32 [channels], a multiple of 8; `around` like x, or null.
extern "C" __global__ void bias_relu_bf16(Vector* x, const float* bias, const Vector* around, long long n, int channels, int relu) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  bias += i % (channels / 8) * 8;
  Vector v = x[i], a = {{0u, 0u, 0u, 0u}};
  if (around) a = around[i];
  for (int w = 0; w < 4; w++) {
    const float low = finished(of_bits(v.word[w] << 16), bias[2 * w], of_bits(a.word[w] << 16), relu);
    const float high = finished(of_bits(v.word[w] & 0xffff0000u), bias[2 * w + 1], of_bits(a.word[w] & 0xffff0000u), relu);
    v.word[w] = rounded(low) | rounded(high) << 16;
  }
  x[i] = v;
}

// The same in fp32; channels are a multiple of 4.
extern "C" __global__ void bias_relu_f32(Vector* x, const float* bias, const Vector* around, long long n, int channels, int relu) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  bias += i % (channels / 4) * 4;
  Vector v = x[i], a = {{0u, 0u, 0u, 0u}};
  if (around) a = around[i];
  for (int w = 0; w < 4; w++) v.word[w] = to_bits(finished(of_bits(v.word[w]), bias[w], of_bits(a.word[w]), relu));
  x[i] = v;
}
