//! ONNX Runtime, in this very process: it lives beside libtorch.

use std::sync::OnceLock;

use logodex_program::onnxruntime::library;
use logodex_schemas::onnx::{INPUT, OUTPUT};
use ort::environment::Environment;
use ort::value::TensorRef;
use tch::{Kind, Tensor};

/// A model, ready to embed.
pub struct Session(ort::session::Session);

impl Session {
    /// Of a file's bytes.
    pub fn open(file: &[u8]) -> Self {
        static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
        let environment = ENVIRONMENT.get_or_init(|| {
            let library = library().expect("`make setup` was run");
            ort::init_from(library).unwrap().build().unwrap()
        });
        let builder = ort::session::Session::builder(environment).unwrap();
        let mut builder = builder.with_intra_threads(1).unwrap();
        Self(builder.commit_from_memory(file).unwrap())
    }

    /// Embeddings F32 `[N, D]` of pictures U8 `[N, side, side, 3]`.
    pub fn embed(&mut self, pictures: &Tensor) -> Tensor {
        let mut bytes = vec![0u8; pictures.numel()];
        pictures.copy_data(&mut bytes, pictures.numel());
        let image = TensorRef::from_array_view((pictures.size(), bytes.as_slice())).unwrap();
        let outputs = self.0.run(ort::inputs![INPUT => image]).unwrap();
        let (shape, values) = outputs[OUTPUT].try_extract_tensor::<f32>().unwrap();
        Tensor::from_slice(values)
            .view(&shape[..])
            .to_kind(Kind::Float)
    }
}
