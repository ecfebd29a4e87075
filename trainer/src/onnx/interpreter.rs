//! Computes a [`Graph`] with libtorch, operator by operator: what an exported model will give is known before it is written, its
//! activations can be looked at, and quantisation can be judged without a second library in the process.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use logodex_schemas::onnx::{INPUT, OUTPUT};
use tch::{Device, Kind, Tensor};

use super::graph::Graph;
use super::messages::Node;

/// A graph, ready to be computed on a device.
#[derive(Debug)]
pub struct Interpreter<'g> {
    graph: &'g Graph,
    constants: BTreeMap<&'g str, Tensor>,
    /// The last node that takes a value.
    last_use: HashMap<&'g str, usize>,
}

impl<'g> Interpreter<'g> {
    /// Brings the graph's constants to the device.
    pub fn new(graph: &'g Graph, device: Device) -> Self {
        let constants = graph
            .constants
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor.to_device(device)));
        let mut last_use = HashMap::new();
        for (place, node) in graph.nodes.iter().enumerate() {
            for input in &node.input {
                last_use.insert(input.as_str(), place);
            }
        }
        Self {
            graph,
            constants: constants.collect(),
            last_use,
        }
    }

    /// Embeddings F32 `[N, D]` of pictures U8 `[N, side, side, 3]` on the device. `observe` sees every value by its name, as
    /// soon as it is there.
    ///
    /// # Errors
    /// An operator that is not known here, or pictures that do not fit.
    pub fn run(
        &self,
        image: &Tensor,
        mut observe: impl FnMut(&'g str, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let mut values = HashMap::from([(INPUT, image.shallow_clone())]);
        for (place, node) in self.graph.nodes.iter().enumerate() {
            let find = |name: &'g String| {
                let value = values.get(name.as_str());
                value
                    .or_else(|| self.constants.get(name.as_str()))
                    .with_context(|| format!("{}: there is no value {name}", node.name))
            };
            let inputs = node.input.iter().map(find).collect::<Result<Vec<_>>>()?;
            let output = compute(node, &inputs).with_context(|| node.name.clone())?;
            let name = node.output[0].as_str();
            observe(name, &output)?;
            for input in &node.input {
                if self.last_use.get(input.as_str()) == Some(&place) {
                    values.remove(input.as_str());
                }
            }
            values.insert(name, output);
        }
        values.remove(OUTPUT).context("the graph has no output")
    }
}

/// The settings of a node.
struct Settings<'n>(&'n Node);

impl Settings<'_> {
    fn ints(&self, name: &str) -> Result<&[i64]> {
        let found = self.0.attribute.iter().find(|a| a.name == name);
        Ok(&found.with_context(|| format!("{name} is not set"))?.ints)
    }

    fn int(&self, name: &str) -> Result<i64> {
        let found = self.0.attribute.iter().find(|a| a.name == name);
        Ok(found.with_context(|| format!("{name} is not set"))?.i)
    }
}

fn compute(node: &Node, inputs: &[&Tensor]) -> Result<Tensor> {
    let settings = Settings(node);
    Ok(match (node.op_type.as_str(), inputs) {
        ("Transpose", &[x]) => x.f_permute(settings.ints("perm")?)?,
        ("Cast", &[x]) => x.f_to_kind(Kind::Float)?,
        ("Add", &[a, b]) => a.f_add(b)?,
        ("Mul", &[a, b]) => a.f_mul(b)?,
        ("Div", &[a, b]) => a.f_div(b)?,
        ("Pow", &[a, b]) => a.f_pow(b)?,
        ("Max", &[a, b]) => a.f_maximum(b)?,
        ("Clip", &[x, lowest, highest]) => x.f_clamp_tensor(Some(lowest), Some(highest))?,
        ("Relu", &[x]) => x.f_relu()?,
        ("Conv", &[x, weight, bias]) => {
            let (x, padding) = padded(x, settings.ints("pads")?, 0.0)?;
            let stride = settings.ints("strides")?;
            let group = settings.int("group")?;
            x.f_conv2d(weight, Some(bias), stride, padding, [1, 1], group)?
        }
        ("MaxPool", &[x]) => {
            let (x, padding) = padded(x, settings.ints("pads")?, f64::NEG_INFINITY)?;
            let kernel = settings.ints("kernel_shape")?;
            let stride = settings.ints("strides")?;
            x.f_max_pool2d(kernel, stride, padding, [1, 1], false)?
        }
        ("GlobalAveragePool", &[x]) => x.f_mean_dim(&[2, 3][..], true, Kind::Float)?,
        ("GlobalMaxPool", &[x]) => x.f_amax([2, 3], true)?,
        ("Flatten", &[x]) => x.f_flatten(settings.int("axis")?, -1)?,
        ("Gemm", &[x, weight, bias]) => x.f_linear(weight, Some(bias))?,
        ("ReduceL2", &[x]) => x.f_norm_scalaropt_dim(2, settings.ints("axes")?, true)?,
        ("QuantizeLinear", &[x, scale, zero]) => {
            let (zero, [lowest, highest]) = (zero.f_to_kind(Kind::Float)?, range(zero.kind())?);
            // Halves go to the even number, here and in ONNX.
            let levels = x.f_div(scale)?.f_round()?.f_add(&zero)?;
            levels.f_clamp(lowest, highest)?
        }
        ("DequantizeLinear", &[x, scale, zero]) => {
            let x = x.f_to_kind(Kind::Float)?;
            let along = |tensor: &Tensor| -> Result<Tensor> {
                let mut shape = vec![1; x.dim()];
                if tensor.dim() == 1 {
                    shape[settings.int("axis")? as usize] = -1;
                    return Ok(tensor.f_view(&shape[..])?);
                }
                Ok(tensor.shallow_clone())
            };
            let zero = along(&zero.f_to_kind(Kind::Float)?)?;
            x.f_sub(&zero)?.f_mul(&along(scale)?)?
        }
        (op, inputs) => bail!("{op} of {} values cannot be computed", inputs.len()),
    })
}

/// The numbers that a quantised value may have; it is kept as fp32, which holds them exactly.
fn range(kind: Kind) -> Result<[f64; 2]> {
    match kind {
        Kind::Uint8 => Ok([0.0, 255.0]),
        Kind::Int8 => Ok([-128.0, 127.0]),
        other => bail!("values are not quantised to {other:?}"),
    }
}

/// What an operator still has to pad itself, `[height, width]`: what is the same on both sides; all else is padded here. ONNX's
/// pads are (top, left, bottom, right); torch's begin with the last dimension.
fn padded(x: &Tensor, pads: &[i64], value: f64) -> Result<(Tensor, [i64; 2])> {
    let &[top, left, bottom, right] = pads else {
        bail!("pads are {pads:?}");
    };
    if top == bottom && left == right {
        return Ok((x.shallow_clone(), [top, left]));
    }
    let padded = x.f_pad([left, right, top, bottom], "constant", value)?;
    Ok((padded, [0, 0]))
}
