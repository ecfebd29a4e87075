// What libtorch offers and tch does not bind. No C++ exception crosses the boundary: a failing call returns null or 1
// and leaves its message in shim_last_error().
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

at::DeviceType device_type(int cuda) { return cuda ? at::kCUDA : at::kCPU; }
}  // namespace

extern "C" {
const char* shim_last_error() { return last_error.c_str(); }

int shim_set_autocast(int cuda, int enabled, int scalar_type) {
  return guarded([&] {
    at::autocast::set_autocast_enabled(device_type(cuda), enabled);
    at::autocast::set_autocast_dtype(device_type(cuda), static_cast<at::ScalarType>(scalar_type));
  });
}
int shim_get_autocast(int cuda, int* enabled, int* scalar_type) {
  return guarded([&] {
    *enabled = at::autocast::is_autocast_enabled(device_type(cuda));
    *scalar_type = static_cast<int>(at::autocast::get_autocast_dtype(device_type(cuda)));
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

// Tensor.grad = None.
int shim_clear_grad(const at::Tensor* tensor) {
  return guarded([&] { tensor->mutable_grad() = at::Tensor(); });
}

// The three fused in-place operations of torch.optim, whose scalar tch leaves out.
int shim_add_scaled_(at::Tensor* self, const at::Tensor* other, double alpha) {
  return guarded([&] { self->add_(*other, alpha); });
}
int shim_addcmul_(at::Tensor* self, const at::Tensor* a, const at::Tensor* b, double value) {
  return guarded([&] { self->addcmul_(*a, *b, value); });
}
int shim_addcdiv_(at::Tensor* self, const at::Tensor* a, const at::Tensor* b, double value) {
  return guarded([&] { self->addcdiv_(*a, *b, value); });
}

int shim_set_tf32(int enabled) {
  return guarded([&] {
    at::globalContext().setAllowTF32CuBLAS(enabled);
    at::globalContext().setAllowTF32CuDNN(enabled);
  });
}
int shim_set_deterministic(int enabled) {
  return guarded([&] {
    // Where CUDA has no deterministic kernel torch warns and goes on: refusing would forbid max pooling's gradient.
    at::globalContext().setDeterministicAlgorithms(enabled, /*warn_only=*/true);
    // Every buffer is written before it is read; filling it with NaN first would only cost time.
    at::globalContext().setDeterministicFillUninitializedMemory(false);
    at::globalContext().setDeterministicCuDNN(enabled);
    at::globalContext().setBenchmarkCuDNN(!enabled);
  });
}
}
