//! What follows a frozen convolution on a GPU, the bias, the way around and the ReLU, in one pass over its output.

use tch::{Kind, Tensor};

use super::kernels::{Argument, Source, THREADS};

/// The kernels; a test runs them on the CPU.
static SOURCE: Source = Source::new(include_str!("../../cuda/bias_relu.cu"));

/// x ← x + bias + around, then, with `relu`, max(x, 0): in fp32, rounded once. `x` `[B, C, H, W]` and `around`, of its kind
/// and layout, are bf16 or fp32; `bias` is fp32 `[C]`. False, and nothing is done, where there is no kernel for it: on the
/// CPU, and for memory that is not channels-last.
pub(crate) fn bias_relu_(x: &Tensor, bias: &Tensor, around: Option<&Tensor>, relu: bool) -> bool {
    let device = x.device();
    let (name, per_thread) = match x.kind() {
        Kind::BFloat16 => (c"bias_relu_bf16", 8),
        Kind::Float => (c"bias_relu_f32", 4),
        _ => return false,
    };
    let differs = |other: &&Tensor| {
        (other.kind(), other.device(), other.stride(), other.size())
            != (x.kind(), device, x.stride(), x.size())
    };
    if !device.is_cuda()
        || !is_channels_last(x)
        || x.size()[1] % per_thread != 0
        || bias.kind() != Kind::Float
        || around.as_ref().is_some_and(differs)
    {
        return false;
    }
    let Some(kernels) = SOURCE.on(device) else {
        return false;
    };
    let vectors = x.numel() as i64 / per_thread;
    let mut arguments = [
        Argument::Pointer(x.data_ptr()),
        Argument::Pointer(bias.data_ptr()),
        Argument::Pointer(around.map_or(std::ptr::null_mut(), Tensor::data_ptr)),
        Argument::Long(vectors),
        Argument::Int(x.size()[1] as i32),
        Argument::Int(i32::from(relu)),
    ];
    let Ok(blocks) = u32::try_from((vectors as u64).div_ceil(u64::from(THREADS))) else {
        return false;
    };
    if blocks > 0 {
        // SAFETY: the kernel's parameters are these; x and around are dense with this many vectors, bias has a number for
        // each channel, all on the device.
        unsafe { kernels.launch(name, [blocks, 1], &mut arguments) };
    }
    true
}

/// Dense, with neighbouring channels beside each other.
fn is_channels_last(x: &Tensor) -> bool {
    let (size, stride) = (x.size(), x.stride());
    let &[_, c, h, w] = size.as_slice() else {
        return false;
    };
    let expected = [c * h * w, 1, w * c, c];
    let matters = |(size, (a, b)): (&i64, (&i64, &i64))| *size == 1 || a == b;
    size.iter().zip(stride.iter().zip(&expected)).all(matters)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::torch::emulated::Emulated;

    /// The kernel on the CPU, by a C++ compiler, beside libtorch's operations.
    #[test]
    fn the_kernels_compute_what_libtorch_computes() {
        let emulated = Emulated::compile(SOURCE.text);
        crate::torch::manual_seed(3);
        for (kind, name, per_thread) in [
            (Kind::Float, c"bias_relu_f32", 4),
            (Kind::BFloat16, c"bias_relu_bf16", 8),
        ] {
            for (with_around, relu) in [(false, true), (true, true), (false, false)] {
                let make =
                    || Tensor::randn([2, 5, 7, 16], (Kind::Float, Device::Cpu)).to_kind(kind);
                let (x, around) = (make(), make()); // NHWC, as the memory of channels-last
                let bias = Tensor::randn([16], (Kind::Float, Device::Cpu));
                let mut expected = x.to_kind(Kind::Float) + &bias;
                if with_around {
                    expected += around.to_kind(Kind::Float);
                }
                if relu {
                    expected = expected.relu();
                }
                let expected = expected.to_kind(kind);
                let n = x.numel() as i64 / per_thread;
                let other = match with_around {
                    true => around.data_ptr(),
                    false => std::ptr::null_mut(),
                };
                let arguments = [
                    Argument::Pointer(x.data_ptr()),
                    Argument::Pointer(bias.data_ptr()),
                    Argument::Pointer(other),
                    Argument::Long(n),
                    Argument::Int(16),
                    Argument::Int(i32::from(relu)),
                ];
                // SAFETY: these are the kernel's parameters.
                unsafe { emulated.launch(name, [n as u32, 1], &arguments) };
                assert_eq!(x, expected, "{kind:?} {with_around} {relu}");
            }
        }
    }

    #[test]
    fn channels_last_is_told_from_other_layouts() {
        let nchw = Tensor::zeros([2, 8, 3, 3], (Kind::Float, Device::Cpu));
        assert!(!is_channels_last(&nchw) && is_channels_last(&crate::torch::channels_last(&nchw)));
        assert!(!is_channels_last(&Tensor::zeros(
            [4],
            (Kind::Float, Device::Cpu)
        )));
        assert!(
            !bias_relu_(&nchw, &nchw, None, true),
            "there is no kernel on the CPU"
        );
    }
}
