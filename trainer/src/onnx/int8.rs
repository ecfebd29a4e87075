//! A graph that computes with whole numbers of eight bits: static quantisation in ONNX's form (QuantizeLinear and
//! DequantizeLinear about each operator), which ONNX Runtime joins to operators on integers.
//!
//! Weights are symmetric, a scale for each output channel, and use seven bits, −63 to 63: the products of x86 processors without
//! VNNI add two of them in 16 bits, which eight would overflow, so that results would depend on the processor. Activations are
//! U8 with one scale for each value, from what [`Ranges`] saw. Pooling and what follows stay in fp32; the weights of fully
//! connected layers are stored in eight bits and computed with in fp32.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

use super::graph::{Graph, Value, int};
use super::messages::Node;

/// Numbers kept of each value and batch: enough to tell its spread, few enough for the memory.
const KEPT: i64 = 1 << 14;
/// The largest seven-bit weight, and the largest of eight.
const SEVEN_BITS: f64 = 63.0;
const EIGHT_BITS: f64 = 127.0;

/// What the activations of a graph were on some rows.
#[derive(Debug, Default)]
pub struct Ranges(BTreeMap<String, Seen>);

#[derive(Debug, Default)]
struct Seen {
    lowest: f64,
    highest: f64,
    kept: Vec<f32>,
}

impl Ranges {
    /// Takes a value in, whatever its shape.
    ///
    /// # Errors
    /// Numbers that are not finite.
    pub fn observe(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let flat = value.f_to_kind(Kind::Float)?.f_flatten(0, -1)?;
        let (lowest, highest) = flat.f_aminmax(0, false)?;
        let (lowest, highest) = (lowest.double_value(&[]), highest.double_value(&[]));
        ensure!(
            lowest.is_finite() && highest.is_finite(),
            "{name} is not finite: the weights have diverged"
        );
        let step = (flat.size1()? / KEPT).max(1);
        let kept = flat.f_slice(0, None, None, step)?.to_device(Device::Cpu);
        let seen = self.0.entry(name.to_owned()).or_default();
        seen.lowest = seen.lowest.min(lowest);
        seen.highest = seen.highest.max(highest);
        seen.kept.extend(Vec::<f32>::try_from(&kept)?);
        Ok(())
    }

    /// The values that [`quantized`] needs to know of.
    pub fn wanted(graph: &Graph) -> Vec<&str> {
        let quantised = graph
            .nodes
            .iter()
            .filter(|node| is_on_integers(graph, node));
        let inputs = quantised.flat_map(activations);
        inputs.map(String::as_str).collect()
    }
}

impl Seen {
    /// The range that is worth its 255 steps: the whole one, or a part with less squared error, counting what is cut off.
    fn range(&self) -> (f64, f64) {
        let mut best = (f64::INFINITY, (self.lowest, self.highest));
        for percent in (20..=100).rev().step_by(4) {
            let part = f64::from(percent) / 100.0;
            let (low, high) = (self.lowest * part, self.highest * part);
            let step = (high - low) / 255.0;
            let rounding = step * step / 12.0;
            let error = |&x: &f32| {
                let x = f64::from(x);
                match x < low || x > high {
                    true => (x - x.clamp(low, high)).powi(2),
                    false => rounding,
                }
            };
            let sum: f64 = self.kept.iter().map(error).sum();
            if sum < best.0 {
                best = (sum, (low, high));
            }
        }
        best.1
    }
}

/// Whether a node is computed on integers: convolutions, and what lies between them.
fn is_on_integers(graph: &Graph, node: &Node) -> bool {
    match node.op_type.as_str() {
        "Conv" | "MaxPool" => true,
        "Add" => node
            .input
            .iter()
            .all(|name| !graph.constants.contains_key(name)),
        _ => false,
    }
}

/// The values that it takes and that are no constants of it.
fn activations(node: &Node) -> &[String] {
    match node.op_type.as_str() {
        "Add" => &node.input,
        _ => &node.input[..1],
    }
}

/// The graph in eight bits, by what its activations were.
///
/// # Errors
/// A value that `ranges` does not know.
pub fn quantized(graph: &Graph, ranges: &Ranges) -> Result<Graph> {
    let mut out = Quantizer {
        graph: graph.emptied(),
        ranges,
        done: BTreeMap::new(),
    };
    let weights: Vec<&String> = graph
        .nodes
        .iter()
        .filter(|node| node.has_weight())
        .flat_map(|node| match node.op_type.as_str() {
            "Conv" => &node.input[1..],
            _ => &node.input[1..2],
        })
        .collect();
    for (name, tensor) in &graph.constants {
        if !weights.contains(&name) {
            out.graph.constant(name, tensor);
        }
    }
    for node in &graph.nodes {
        let mut own = node.clone();
        if is_on_integers(graph, node) {
            for (place, name) in activations(node).iter().enumerate() {
                own.input[place] = out.activation(name)?.value;
            }
        }
        match node.op_type.as_str() {
            "Conv" => {
                let step = out.activation(&node.input[0])?.step;
                let [weight, bias] = [1, 2].map(|i| &graph.constants[&node.input[i]]);
                let names = (&node.input[1], &node.input[2]);
                let (weight, bias) = out.convolution(names, (weight, bias), step);
                own.input.splice(1.., [weight, bias]);
            }
            "Gemm" => {
                let name = &node.input[1];
                let weight = &graph.constants[name];
                let steps = steps(weight, EIGHT_BITS);
                own.input[1] = out.weight(name, weight, &steps, EIGHT_BITS);
            }
            "MaxPool" => {
                // What it gives has the steps of what it takes, and needs none of its own.
                let taken = out.activation(&node.input[0])?;
                let given = out.graph.push(own);
                out.quantize(&given, taken);
                continue;
            }
            _ => {}
        }
        out.graph.push(own);
    }
    Ok(out.graph)
}

struct Quantizer<'r> {
    graph: Graph,
    ranges: &'r Ranges,
    /// Values that were rounded already.
    done: BTreeMap<String, Activation>,
}

#[derive(Debug, Clone)]
struct Activation {
    /// It, rounded.
    value: Value,
    /// Names of its step and of its zero.
    constants: [Value; 2],
    step: f64,
}

impl Quantizer<'_> {
    /// A value, rounded.
    fn activation(&mut self, name: &String) -> Result<Activation> {
        if let Some(done) = self.done.get(name) {
            return Ok(done.clone());
        }
        let seen = self.ranges.0.get(name);
        let (lowest, highest) = seen
            .with_context(|| format!("it is not known what {name} is like"))?
            .range();
        let step = f64::from(((highest - lowest).max(1e-12) / 255.0) as f32);
        let zero = (-lowest / step).round().clamp(0.0, 255.0) as u8;
        let zero = Tensor::from_slice(&[zero]).view([]);
        let constants = [
            self.graph.number(&format!("{name}.step"), step as f32),
            self.graph.constant(&format!("{name}.zero"), &zero),
        ];
        let value = String::new();
        let new = Activation {
            value,
            constants,
            step,
        };
        Ok(self.quantize(name, new))
    }

    /// Rounds a value by these steps.
    fn quantize(&mut self, name: &Value, by: Activation) -> Activation {
        let [step, zero] = &by.constants;
        let levels = self
            .graph
            .add("QuantizeLinear", &[name, step, zero], vec![]);
        let value = self
            .graph
            .add("DequantizeLinear", &[&levels, step, zero], vec![]);
        let rounded = Activation { value, ..by };
        self.done.insert(name.clone(), rounded.clone());
        rounded
    }

    /// A convolution's weight, and its bias in 32 bits with the step of their products, as ONNX Runtime wants it.
    fn convolution(
        &mut self,
        (weight_name, bias_name): (&String, &String),
        (weight, bias): (&Tensor, &Tensor),
        step: f64,
    ) -> (Value, Value) {
        // A channel whose weights are next to nothing beside its bias needs steps that let 32 bits hold the bias.
        let least = bias.to_kind(Kind::Double).abs() / (step * f64::from(1 << 30));
        let steps = steps(weight, SEVEN_BITS).maximum(&least);
        let weight = self.weight(weight_name, weight, &steps, SEVEN_BITS);
        let products = (&steps * step).to_kind(Kind::Float);
        let levels = (bias.to_kind(Kind::Double) / products.to_kind(Kind::Double)).round();
        let bias = self.levels(bias_name, &levels.to_kind(Kind::Int), &products);
        (weight, bias)
    }

    fn weight(&mut self, name: &str, weight: &Tensor, steps: &Tensor, most: f64) -> Value {
        let steps = steps.to_kind(Kind::Float);
        let mut shape = vec![1; weight.dim()];
        shape[0] = -1;
        let by = steps.to_kind(Kind::Double).view(&shape[..]);
        let levels = (weight.to_kind(Kind::Double) / by).round();
        let levels = levels.clamp(-most, most).to_kind(Kind::Int8);
        self.levels(name, &levels, &steps)
    }

    /// Whole numbers that stand for numbers `steps` apart, channel by channel.
    fn levels(&mut self, name: &str, levels: &Tensor, steps: &Tensor) -> Value {
        let zeros = Tensor::zeros(steps.size(), (levels.kind(), Device::Cpu));
        let levels = self.graph.constant(name, levels);
        let steps = self.graph.constant(&format!("{name}.step"), steps);
        let zeros = self.graph.constant(&format!("{name}.zero"), &zeros);
        let axis = vec![int("axis", 0)];
        self.graph
            .add("DequantizeLinear", &[&levels, &steps, &zeros], axis)
    }
}

/// The step of each output channel, F64 `[out]`: its largest weight is `most` steps.
fn steps(weight: &Tensor, most: f64) -> Tensor {
    let channels = weight.to_kind(Kind::Double).abs().flatten(1, -1);
    let (_, largest) = channels.aminmax(1, false);
    (largest / most).clamp_min(1e-12)
}
