//! ROC, DIR and precision–recall curves of a made-up model.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::CurveRow;

use super::model::Made;

pub fn curves(made: &Made) -> Vec<CurveRow> {
    let models = [(made.name, made.quality), ("colour_histogram", 0.2)];
    let kinds = [
        ("open_set", "roc"),
        ("open_set", "dir"),
        ("paper", "precision_recall"),
    ];
    let mut rows = Vec::new();
    for (model, quality) in models {
        for (protocol, curve) in kinds {
            for i in 0..=100 {
                let x = f64::from(i) / 100.0;
                let y = match curve {
                    "roc" => x.powf(1.0 - quality),
                    "dir" => quality * x.powf(1.0 - quality),
                    _ => 1.0 - x.powf(1.0 + 2.0 * quality),
                };
                rows.push(CurveRow {
                    model: model.to_owned(),
                    region: Region::Object,
                    protocol: protocol.to_owned(),
                    shots: 1,
                    curve: curve.to_owned(),
                    x,
                    y,
                });
            }
        }
    }
    rows
}
