// The few switches of libtorch that tch does not bind. No C++ exception crosses the boundary: a failing call
// returns null or 1 and leaves its message in shim_last_error().
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <torch/torch.h>

#include <string>

namespace {
thread_local std::string last_error;

template <class F> int guarded(F body) {
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    last_error = e.what();
  } catch (...) {
    last_error = "unknown C++ exception";
  }
  return 1;
}
}  // namespace

extern "C" {
const char* shim_last_error() { return last_error.c_str(); }

int shim_set_autocast(int cuda, int enabled, int scalar_type) {
  return guarded([&] {
    const auto device = cuda ? at::kCUDA : at::kCPU;
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, static_cast<at::ScalarType>(scalar_type));
  });
}
void shim_autocast_enter() { at::autocast::increment_nesting(); }
void shim_autocast_exit() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

at::Tensor* shim_channels_last(const at::Tensor* tensor) {
  at::Tensor* out = nullptr;
  guarded([&] { out = new at::Tensor(tensor->contiguous(at::MemoryFormat::ChannelsLast)); });
  return out;
}

int shim_set_tf32(int enabled) {
  return guarded([&] {
    at::globalContext().setAllowTF32CuBLAS(enabled);
    at::globalContext().setAllowTF32CuDNN(enabled);
  });
}
int shim_set_deterministic(int enabled) {
  return guarded([&] {
    at::globalContext().setDeterministicAlgorithms(enabled, /*warn_only=*/false);
    at::globalContext().setBenchmarkCuDNN(!enabled);
  });
}
}
