// What libtorch offers and tch does not bind. No C++ exception crosses the boundary: a failing call returns null or 1
// and leaves its message in shim_last_error().
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

namespace {
thread_local std::string last_error;

template <class F> int guarded(F body) {
  try {
    try {
      body();
      return 0;
    } catch (const std::exception& e) {
      last_error = e.what();
    } catch (...) {
      last_error = "unknown C++ exception";
    }
  } catch (...) {
    last_error.clear();  // no memory left for the message
  }
  return 1;
}

std::vector<at::Tensor> list(at::Tensor* const* tensors, int n) {
  std::vector<at::Tensor> out;
  for (int i = 0; i < n; i++) out.push_back(*tensors[i]);
  return out;
}

std::vector<at::Tensor> grads_of(at::Tensor* const* tensors, int n) {
  std::vector<at::Tensor> out;
  for (int i = 0; i < n; i++) {
    if (tensors[i]->grad().defined()) out.push_back(tensors[i]->grad());
  }
  return out;
}

bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  for (int64_t d = 0; d < a.dim(); d++) {
    if (a.size(d) != 1 && a.stride(d) != b.stride(d)) return false;
  }
  return true;
}

// The fused kernels walk the memory of their tensors side by side and want equal strides. Those of a dimension of size 1
// mean nothing: a 1x1 convolution's weight and gradient often differ there alone.
std::vector<at::Tensor> in_layout_of(const std::vector<at::Tensor>& weights, at::Tensor* const* grads) {
  std::vector<at::Tensor> out;
  for (size_t i = 0; i < weights.size(); i++) {
    const at::Tensor &weight = weights[i], &grad = *grads[i];
    if (same_layout(weight, grad)) {
      out.push_back(grad.as_strided(weight.sizes(), weight.strides()));
    } else {
      out.push_back(at::empty_like(weight).copy_(grad));
    }
  }
  return out;
}

at::DeviceType device_type(int cuda) { return cuda ? at::kCUDA : at::kCPU; }
}  // namespace

extern "C" {
const char* shim_last_error() { return last_error.c_str(); }

// tch's own lets an exception through.
int shim_manual_seed(int64_t seed) {
  return guarded([&] { torch::manual_seed(seed); });
}
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
int shim_autocast_enter() {
  return guarded([] { at::autocast::increment_nesting(); });
}
int shim_autocast_exit() {
  return guarded([] {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  });
}

// torch.__config__.show(), cut where there is no more room.
int shim_build_settings(char* text, size_t room) {
  return guarded([&] {
    const std::string settings = at::show_config();
    text[settings.copy(text, room - 1)] = 0;
  });
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
// torch.nn.utils.get_total_norm of the gradients that are there, as a tensor: nothing waits for the device.
at::Tensor* shim_grad_norm(at::Tensor* const* tensors, int n) {
  at::Tensor* out = nullptr;
  guarded([&] { out = new at::Tensor(at::linalg_vector_norm(at::stack(at::_foreach_norm(grads_of(tensors, n), 2)), 2)); });
  return out;
}
// torch.nn.utils.clip_grads_with_norm_.
int shim_clip_grads_(at::Tensor* const* tensors, int n, const at::Tensor* norm, double max_norm) {
  return guarded([&] {
    const at::Tensor factor = at::clamp_max(at::mul(at::reciprocal(at::add(*norm, 1e-6)), max_norm), 1.0);
    at::_foreach_mul_(grads_of(tensors, n), factor);
  });
}

// One step of torch.optim.SGD(fused=True) for n weights. Without momentum `buffers` is null; on their first step they are
// written.
int shim_fused_sgd_(at::Tensor* const* weights, at::Tensor* const* grads, at::Tensor* const* buffers, int n, double lr,
                    double momentum, double weight_decay, int nesterov, int first_step) {
  return guarded([&] {
    const std::vector<at::Tensor> w = list(weights, n);
    at::_fused_sgd_(w, in_layout_of(w, grads), buffers ? list(buffers, n) : std::vector<at::Tensor>(), weight_decay,
                    momentum, lr, /*dampening=*/0, nesterov, /*maximize=*/false, first_step);
  });
}
// One step of torch.optim.Adam or AdamW(fused=True) for n weights. `steps`, fp32, count this one too.
int shim_fused_adam_(at::Tensor* const* weights, at::Tensor* const* grads, at::Tensor* const* exp_avgs,
                     at::Tensor* const* exp_avg_sqs, at::Tensor* const* steps, int n, double lr, double beta1,
                     double beta2, double weight_decay, double eps, int decoupled) {
  return guarded([&] {
    const std::vector<at::Tensor> w = list(weights, n), g = in_layout_of(w, grads), mean = list(exp_avgs, n),
                                  mean_sq = list(exp_avg_sqs, n), count = list(steps, n);
    if (decoupled) {
      at::_fused_adamw_(w, g, mean, mean_sq, {}, count, lr, beta1, beta2, weight_decay, eps, /*amsgrad=*/false,
                        /*maximize=*/false);
    } else {
      at::_fused_adam_(w, g, mean, mean_sq, {}, count, lr, beta1, beta2, weight_decay, eps, /*amsgrad=*/false,
                       /*maximize=*/false);
    }
  });
}

int shim_set_tf32(int enabled) {
  return guarded([&] {
    // As PyTorch's own default: the convolutions alone. Heads, losses and the augmentation's coordinates stay fp32.
    at::globalContext().setAllowTF32CuBLAS(false);
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

// Below, c10's device-independent interfaces: they reach CUDA through what libtorch_cuda.so registered when it was loaded.

// A stream of the device's pool, by its number.
int shim_new_stream(int device, int64_t* stream) {
  return guarded([&] {
    const c10::impl::VirtualGuardImpl cuda(at::kCUDA);
    *stream = cuda.getStreamFromGlobalPool(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device))).id();
  });
}
// The stream that the calling thread computes on, as CUDA names it.
int shim_current_stream(int device, void** handle) {
  return guarded([&] {
    const at::Device cuda(at::kCUDA, static_cast<c10::DeviceIndex>(device));
    *handle = c10::impl::VirtualGuardImpl(at::kCUDA).getStream(cuda).native_handle();
  });
}
// Starts the copy of `host` to the device on `stream`; `event` is reached when it is done.
at::Tensor* shim_upload(int device, int64_t stream, const at::Tensor* host, c10::Event** event) {
  at::Tensor* out = nullptr;
  guarded([&] {
    const at::Device cuda(at::kCUDA, static_cast<c10::DeviceIndex>(device));
    const c10::Stream side = c10::Stream::unpack3(stream, cuda.index(), cuda.type());
    const c10::StreamGuard on_side(side);
    at::Tensor copy = host->to(cuda, /*non_blocking=*/true, /*copy=*/true);
    auto done = std::make_unique<c10::Event>(cuda.type());
    done->record(side);
    out = new at::Tensor(std::move(copy));
    *event = done.release();
  });
  return out;
}
// What the calling thread's stream does from now on comes after the event, and the memory of `uploaded`, which is the side
// stream's, is not used again before this stream is through with it.
int shim_await_upload(const at::Tensor* uploaded, const c10::Event* event) {
  return guarded([&] {
    const c10::Stream current = c10::impl::VirtualGuardImpl(at::kCUDA).getStream(uploaded->device());
    event->block(current);
    uploaded->record_stream(current);
  });
}
int shim_free_event(c10::Event* event) {
  return guarded([&] { delete event; });
}

// The most bytes that tensors have held on the device since the last reset; 0 before its first tensor.
int shim_peak_memory(int device, int64_t* bytes) {
  return guarded([&] {
    auto* allocator = c10::getDeviceAllocator(at::kCUDA);
    const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    *bytes = allocator->initialized()
                 ? allocator->getDeviceStats(static_cast<c10::DeviceIndex>(device)).allocated_bytes[all].peak
                 : 0;
  });
}
int shim_reset_peak_memory(int device) {
  return guarded([&] {
    auto* allocator = c10::getDeviceAllocator(at::kCUDA);
    if (allocator->initialized()) allocator->resetPeakStats(static_cast<c10::DeviceIndex>(device));
  });
}

// Uninitialised bytes in pinned memory; libtorch keeps it for later batches once its tensor and its copies are done.
at::Tensor* shim_pinned(const int64_t* sizes, int n_sizes) {
  at::Tensor* out = nullptr;
  guarded([&] {
    out = new at::Tensor(at::empty(at::IntArrayRef(sizes, n_sizes), at::TensorOptions(at::kByte).pinned_memory(true)));
  });
  return out;
}
}
