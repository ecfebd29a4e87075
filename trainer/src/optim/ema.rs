//! Keeps the exponential moving average of a network's weights: a second network that follows the trained one and is
//! validated, saved and embedded with in its place.

use anyhow::Result;
use logodex_schemas::train::{ModelConfig, TrainConfig};

use crate::model::EmbeddingNet;
use crate::runtime::Runtime;

/// The average of a network.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    net: EmbeddingNet,
}

impl Ema {
    /// An average that begins at the weights of `net`, where the configuration asks for one.
    ///
    /// # Errors
    /// None is expected: the network was built from the same configuration.
    pub fn new(
        config: &TrainConfig,
        net: &EmbeddingNet,
        runtime: &Runtime,
    ) -> Result<Option<Self>> {
        let Some(ema) = config.ema else {
            return Ok(None);
        };
        let model = ModelConfig {
            weights: None,
            ..config.model.clone()
        };
        let mut copy =
            EmbeddingNet::new(&model, config.seed, runtime.device, runtime.channels_last)?;
        copy.load_state(&net.state())?;
        Ok(Some(Self {
            decay: ema.decay,
            net: copy,
        }))
    }

    /// The network with the average weights.
    pub fn net(&self) -> &EmbeddingNet {
        &self.net
    }

    /// As [`Self::net`], to load a checkpoint into.
    pub fn net_mut(&mut self) -> &mut EmbeddingNet {
        &mut self.net
    }

    /// After a step of the optimiser on `net`: average + (1 − decay)·(weight − average) for every parameter, the
    /// arithmetic of `torch.optim.swa_utils.get_ema_multi_avg_fn`; BatchNorm's statistics are averages already and
    /// copied.
    pub fn follow(&mut self, net: &EmbeddingNet) {
        let _no_grad = tch::no_grad_guard();
        for (average, current) in self.net.parameters().iter().zip(net.parameters()) {
            let _ = average
                .tensor
                .shallow_clone()
                .lerp_(&current.tensor, 1.0 - self.decay);
        }
        for ((_, own), (_, current)) in self.net.buffers().iter().zip(net.buffers()) {
            own.shallow_clone().copy_(current);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_schemas::train::RuntimeConfig;

    #[test]
    fn the_average_is_the_weighted_sum_of_all_weights_so_far_and_statistics_are_copied() {
        let text = "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[loss]\nkind = \"triplet\"\nmargin = 1.0\n[schedule]\nepochs = 1\n[ema]\ndecay = 0.75\n[runtime]\nthreads = 1\n";
        let config = crate::config::parse(text.as_bytes()).expect("a configuration");
        let runtime = Runtime::start(&RuntimeConfig::default()).expect("a device");
        let net = EmbeddingNet::new(&config.model, 1, runtime.device, runtime.channels_last)
            .expect("a network");
        let mut ema = Ema::new(&config, &net, &runtime)
            .expect("built")
            .expect("asked for");
        let watched = |net: &EmbeddingNet| {
            let bias = net.parameters().last().expect("the head's bias");
            Vec::<f64>::try_from(&bias.tensor.to_kind(tch::Kind::Double)).expect("numbers")
        };
        let began = watched(&net);
        for step in 1..=3 {
            tch::no_grad(|| {
                for parameter in net.parameters() {
                    let _ = parameter.tensor.shallow_clone().fill_(f64::from(step));
                }
                for (_, buffer) in net.buffers() {
                    let _ = buffer.shallow_clone().fill_(i64::from(step));
                }
            });
            ema.follow(&net);
        }
        // 0.75³·w₀ + 0.25·(0.75²·1 + 0.75·2 + 3)
        for (average, began) in watched(ema.net()).iter().zip(&began) {
            let expected = 0.421_875 * began + 0.25 * (0.5625 + 1.5 + 3.0);
            assert!((average - expected).abs() < 1e-6, "{average} {expected}");
        }
        assert!(watched(&net).iter().all(|weight| *weight == 3.0));
        for (name, buffer) in ema.net().buffers() {
            assert_eq!(buffer.view(-1).double_value(&[0]), 3.0, "{name}");
        }
    }
}
