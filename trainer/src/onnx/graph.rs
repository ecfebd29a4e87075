//! A network as a graph of ONNX operators, and its file.
//!
//! A layer adds itself by the methods of [`Graph`], one for each operator; each returns the value that it gives, to be passed to
//! the next. What a method adds here, [`interpreter`](super::interpreter) must know, too.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use logodex_schemas::onnx::{INPUT, OUTPUT};
use prost::Message;
use tch::{Device, Kind, Tensor};

use super::messages::{
    Attribute, Dimension, Extent, GraphMessage, Model, Node, OperatorSet, Shape, StringEntry,
    TensorMessage, TensorType, ValueInfo, ValueType,
};

/// `TensorProto.DataType`.
pub(super) const FLOAT: i64 = 1;
const UINT8: i64 = 2;

/// The operator set.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// The name of a value within a graph.
pub type Value = String;

/// Operators in the order in which they are computed, and the tensors that they hold.
#[derive(Debug)]
pub struct Graph {
    /// Each gives one value.
    pub(super) nodes: Vec<Node>,
    /// Weights and other constants by name, on the CPU.
    pub(super) constants: BTreeMap<String, Tensor>,
    side: i64,
    dim: i64,
}

/// A convolution's geometry, the same in both directions.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Side of the kernel.
    pub kernel: i64,
    /// Step from one position to the next.
    pub stride: i64,
    /// Zeros before the first position and behind the last.
    pub padding: [i64; 2],
}

impl Graph {
    /// A graph that takes `image` U8 `[N, side, side, 3]` and is to give `embedding` F32 `[N, dim]`.
    pub fn new(side: i64, dim: i64) -> Self {
        Self {
            nodes: Vec::new(),
            constants: BTreeMap::new(),
            side,
            dim,
        }
    }

    /// The same, without nodes and constants.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.side, self.dim)
    }

    /// Adds a tensor under a name of its own.
    pub(super) fn constant(&mut self, name: &str, tensor: &Tensor) -> Value {
        let own = tensor.detach().to_device(Device::Cpu).contiguous();
        let before = self.constants.insert(name.to_owned(), own);
        assert!(before.is_none(), "two constants named {name}");
        name.to_owned()
    }

    /// Adds a number.
    pub(super) fn number(&mut self, name: &str, value: f32) -> Value {
        self.constant(name, &Tensor::from(value))
    }

    /// Adds an operator.
    pub(super) fn add(&mut self, op: &str, inputs: &[&Value], attribute: Vec<Attribute>) -> Value {
        let name = format!("{}_{op}", self.nodes.len());
        self.push(Node {
            input: inputs.iter().map(|value| (*value).clone()).collect(),
            output: vec![name.clone()],
            name,
            op_type: op.to_owned(),
            attribute,
        })
    }

    pub(super) fn push(&mut self, node: Node) -> Value {
        let value = node.output[0].clone();
        self.nodes.push(node);
        value
    }

    /// The input as fp32 `[N, 3, side, side]`, as fractions of 255 less `mean`, divided by `std`.
    pub fn normalized_image(&mut self, mean: [f32; 3], std: [f32; 3]) -> Value {
        let channels = |of: &dyn Fn(usize) -> f64| {
            let values: [f32; 3] = std::array::from_fn(|c| of(c) as f32);
            Tensor::from_slice(&values).view([1, 3, 1, 1])
        };
        let scale = channels(&|c| 1.0 / (255.0 * f64::from(std[c])));
        let shift = channels(&|c| -f64::from(mean[c]) / f64::from(std[c]));
        let image = INPUT.to_owned();
        let nchw = self.add("Transpose", &[&image], vec![ints("perm", &[0, 3, 1, 2])]);
        let numbers = self.cast_to_float(&nchw);
        self.scale_and_shift(&numbers, &scale, &shift)
    }

    pub(super) fn cast_to_float(&mut self, x: &Value) -> Value {
        self.add("Cast", &[x], vec![int("to", FLOAT)])
    }

    /// A 2-D convolution: weight `[out, in / groups, kernel, kernel]`, bias `[out]`.
    pub fn conv(
        &mut self,
        x: &Value,
        (weight, bias): (&Tensor, &Tensor),
        window: Window,
        groups: i64,
    ) -> Value {
        let mut attributes = window_attributes(window);
        attributes.push(int("group", groups));
        self.with_weights("Conv", x, &[("weight", weight), ("bias", bias)], attributes)
    }

    /// A fully connected layer, `[N, in]` → `[N, out]`: weight `[out, in]`, bias `[out]`.
    pub fn linear(&mut self, x: &Value, (weight, bias): (&Tensor, &Tensor)) -> Value {
        let weights = [("weight", weight), ("bias", bias)];
        self.with_weights("Gemm", x, &weights, vec![int("transB", 1)])
    }

    /// `x · scale + shift`, each broadcast: a normalisation that no convolution before it has taken up.
    pub fn scale_and_shift(&mut self, x: &Value, scale: &Tensor, shift: &Tensor) -> Value {
        let scaled = self.with_weights("Mul", x, &[("scale", scale)], vec![]);
        self.with_weights("Add", &scaled, &[("shift", shift)], vec![])
    }

    /// The largest of each window.
    pub fn max_pool(&mut self, x: &Value, window: Window) -> Value {
        self.add("MaxPool", &[x], window_attributes(window))
    }

    /// `[N, C, h, w]` → `[N, C]`, the mean over positions.
    pub fn mean_over_positions(&mut self, x: &Value) -> Value {
        let mean = self.add("GlobalAveragePool", &[x], vec![]);
        self.add("Flatten", &[&mean], vec![int("axis", 1)])
    }

    /// `[N, C, h, w]` → `[N, C]`, the largest of all positions.
    pub fn max_over_positions(&mut self, x: &Value) -> Value {
        let max = self.add("GlobalMaxPool", &[x], vec![]);
        self.add("Flatten", &[&max], vec![int("axis", 1)])
    }

    /// `x` without what is negative.
    pub fn relu(&mut self, x: &Value) -> Value {
        self.add("Relu", &[x], vec![])
    }

    /// `x`, but `lowest` where it is less and `highest` where it is more.
    pub fn clip(&mut self, x: &Value, lowest: f32, highest: f32) -> Value {
        let [lowest, highest] = [lowest, highest].map(Tensor::from);
        let bounds = [("lowest", &lowest), ("highest", &highest)];
        self.with_weights("Clip", x, &bounds, vec![])
    }

    /// `x` to a power.
    pub fn power(&mut self, x: &Value, exponent: f32) -> Value {
        let exponent = Tensor::from(exponent);
        self.with_weights("Pow", x, &[("exponent", &exponent)], vec![])
    }

    /// Elementwise `a + b`, of one shape.
    pub fn sum(&mut self, a: &Value, b: &Value) -> Value {
        self.add("Add", &[a, b], vec![])
    }

    /// Rows `[N, D]` divided by their Euclidean norm, or by 1e-12 where that is less: the graph's output.
    pub fn normalized_output(&mut self, x: &Value) {
        let attributes = vec![ints("axes", &[1]), int("keepdims", 1)];
        let norm = self.add("ReduceL2", &[x], attributes);
        let norm = self.with_weights("Max", &norm, &[("least", &Tensor::from(1e-12_f32))], vec![]);
        self.push(Node {
            input: vec![x.clone(), norm],
            output: vec![OUTPUT.to_owned()],
            name: format!("{}_Div", self.nodes.len()),
            op_type: "Div".to_owned(),
            attribute: vec![],
        });
    }

    /// Adds an operator of `x` and constants of its own, which are called after it.
    fn with_weights(
        &mut self,
        op: &str,
        x: &Value,
        constants: &[(&str, &Tensor)],
        attribute: Vec<Attribute>,
    ) -> Value {
        let mut inputs = vec![x.clone()];
        for (name, tensor) in constants {
            let name = format!("{}_{op}.{name}", self.nodes.len());
            inputs.push(self.constant(&name, tensor));
        }
        let inputs: Vec<&Value> = inputs.iter().collect();
        self.add(op, &inputs, attribute)
    }

    /// The ONNX file, without metadata. The same graph gives the same bytes.
    ///
    /// # Errors
    /// A constant that is not finite.
    pub fn to_file(&self) -> Result<Vec<u8>> {
        let initializer = self
            .constants
            .iter()
            .map(|(name, tensor)| message(name, tensor))
            .collect::<Result<_>>()?;
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "logodex-train".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(GraphMessage {
                node: self.nodes.clone(),
                name: "embedding network".to_owned(),
                initializer,
                input: vec![info(INPUT, UINT8, &[self.side, self.side, 3])],
                output: vec![info(OUTPUT, FLOAT, &[self.dim])],
            }),
            opset_import: vec![OperatorSet {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props: vec![],
        };
        Ok(model.encode_to_vec())
    }
}

/// Adds an entry to the metadata of an ONNX file: what is behind the end of a message is merged into it.
pub fn append_metadata(file: &mut Vec<u8>, key: &str, value: &str) {
    let entry = Model {
        metadata_props: vec![StringEntry {
            key: key.to_owned(),
            value: value.to_owned(),
        }],
        ..Model::default()
    };
    file.extend(entry.encode_to_vec());
}

fn window_attributes(window: Window) -> Vec<Attribute> {
    let [before, behind] = window.padding;
    vec![
        ints("kernel_shape", &[window.kernel; 2]),
        ints("pads", &[before, before, behind, behind]),
        ints("strides", &[window.stride; 2]),
    ]
}

pub(super) fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: value,
        ints: vec![],
        kind: 2,
    }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: 0,
        ints: values.to_vec(),
        kind: 7,
    }
}

/// A tensor `[N, …]` by name.
fn info(name: &str, elem_type: i64, sizes: &[i64]) -> ValueInfo {
    let batch = Extent::Free("batch".to_owned());
    let extents = std::iter::once(batch).chain(sizes.iter().map(|size| Extent::Known(*size)));
    let dim = extents.map(|extent| Dimension {
        extent: Some(extent),
    });
    ValueInfo {
        name: name.to_owned(),
        kind: Some(ValueType {
            tensor: Some(TensorType {
                elem_type: elem_type as i32,
                shape: Some(Shape { dim: dim.collect() }),
            }),
        }),
    }
}

fn message(name: &str, tensor: &Tensor) -> Result<TensorMessage> {
    let data_type = match tensor.kind() {
        Kind::Float => FLOAT as i32,
        Kind::Uint8 => UINT8 as i32,
        Kind::Int8 => 3,
        Kind::Int => 6,
        Kind::Half => 10,
        other => bail!("{name} is {other:?}, which no exported model holds"),
    };
    if !crate::torch::is_finite(tensor) {
        bail!("{name} holds numbers that are not finite");
    }
    let mut raw_data = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut raw_data, tensor.numel());
    Ok(TensorMessage {
        dims: tensor.size(),
        data_type,
        name: name.to_owned(),
        raw_data,
    })
}
