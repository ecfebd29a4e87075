//! Describes the dataset in Croissant 1.0, `croissant.json`, for catalogues and loaders that know nothing of ours.
//!
//! It is written before the manifest and describes the files that are there by then. Columns and their types come from
//! the schemas of the rows, so that they cannot go stale. No date is stated, because an output holds no clock, and no
//! licence, because LogoDet-3K states none that could be passed on; a validator warns of both.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::{DATASET_VERSION, FileEntry};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const URL: &str = "https://github.com/Wangjing1551/LogoDet-3K-Dataset";
const CITATION: &str = "@article{wang2022logodet3k, title={LogoDet-3K: A Large-Scale Image Dataset for Logo Detection}, \
author={Wang, Jing and Min, Weiqing and Hou, Sujuan and Ma, Shengnan and Zheng, Yuanjie and Jiang, Shuqiang}, \
journal={ACM Transactions on Multimedia Computing, Communications, and Applications}, volume={18}, number={1s}, \
pages={1--23}, year={2022}}";

/// The description of the dataset in `dir`, whose small files are listed in `files`.
///
/// # Errors
/// A listed file that cannot be read again.
pub fn describe(dir: &Path, files: &BTreeMap<String, FileEntry>) -> anyhow::Result<Value> {
    let mut distribution = Vec::new();
    for (name, entry) in files {
        let path = dir.join(name);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let sha256: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        distribution.push(json!({
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": format!("{} B", entry.bytes),
            "encodingFormat": encoding(name),
            "sha256": sha256,
        }));
    }
    for (id, includes, format, description) in [
        (
            "shards",
            "shards/*.safetensors",
            "application/octet-stream",
            "The images of the rows, as safetensors; manifest.json lists the BLAKE3 of each",
        ),
        (
            "annotations",
            "annotations/*/*/*.xml",
            "text/xml",
            "Pascal VOC annotations with the brand's index in every object",
        ),
    ] {
        distribution.push(json!({
            "@type": "cr:FileSet",
            "@id": id,
            "name": id,
            "description": description,
            "encodingFormat": format,
            "includes": includes,
        }));
    }
    Ok(json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "LogoDet-3K by Logodex",
        "description": "Logos by brand: a tree of LogoDet-3K's layout, consolidated by content, decoded and sharded by \
            Logodex. The images are those of the tree it was built from; their terms are those of their source.",
        "url": URL,
        "citeAs": CITATION,
        "version": format!("{DATASET_VERSION}.0.0"),
        "distribution": distribution,
        "recordSet": [
            record_set("catalog", "A row per sample", "catalog.parquet", "catalog_row")?,
            record_set("brands", "A row per brand", "brands.csv", "brand_row")?,
        ],
    }))
}

fn encoding(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "csv")) => "text/csv",
        Some((_, "parquet")) => "application/x-parquet",
        Some((_, "json")) => "application/json",
        Some((_, "jsonl")) => "application/jsonlines",
        _ => "application/octet-stream",
    }
}

/// The columns of a table, from the schema of its rows.
fn record_set(id: &str, description: &str, file: &str, schema: &str) -> anyhow::Result<Value> {
    let schemas = logodex_schemas::json_schemas();
    let (_, schema) = schemas
        .iter()
        .find(|(name, _)| *name == schema)
        .with_context(|| format!("no schema {schema}"))?;
    let columns = schema["properties"].as_object();
    let fields: Vec<Value> = columns
        .with_context(|| format!("{schema} describes no record"))?
        .iter()
        .map(|(column, schema)| {
            let mut field = json!({
                "@type": "cr:Field",
                "@id": format!("{id}/{column}"),
                "name": column,
                "dataType": data_type(schema),
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
            });
            if let Some(description) = schema.get("description") {
                field["description"] = description.clone();
            }
            field
        })
        .collect();
    Ok(json!({
        "@type": "cr:RecordSet",
        "@id": id,
        "name": id,
        "description": description,
        "field": fields,
    }))
}

/// A nullable column has a list of types.
fn data_type(schema: &Value) -> &'static str {
    let is = |name: &str| {
        let kind = &schema["type"];
        let listed = kind
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == name));
        kind == name || listed
    };
    match () {
        () if is("integer") => "sc:Integer",
        () if is("number") => "sc:Float",
        () if is("boolean") => "sc:Boolean",
        () => "sc:Text",
    }
}

/// The context that Croissant 1.0 prescribes.
fn context() -> Value {
    let mut context = Map::new();
    for (key, value) in [
        ("@language", "en"),
        ("@vocab", "https://schema.org/"),
        ("citeAs", "cr:citeAs"),
        ("column", "cr:column"),
        ("conformsTo", "dct:conformsTo"),
        ("cr", "http://mlcommons.org/croissant/"),
        ("dct", "http://purl.org/dc/terms/"),
        ("extract", "cr:extract"),
        ("field", "cr:field"),
        ("fileObject", "cr:fileObject"),
        ("fileProperty", "cr:fileProperty"),
        ("fileSet", "cr:fileSet"),
        ("format", "cr:format"),
        ("includes", "cr:includes"),
        ("isLiveDataset", "cr:isLiveDataset"),
        ("jsonPath", "cr:jsonPath"),
        ("key", "cr:key"),
        ("md5", "cr:md5"),
        ("parentField", "cr:parentField"),
        ("path", "cr:path"),
        ("rai", "http://mlcommons.org/croissant/RAI/"),
        ("recordSet", "cr:recordSet"),
        ("references", "cr:references"),
        ("regex", "cr:regex"),
        ("repeated", "cr:repeated"),
        ("replace", "cr:replace"),
        ("samplingRate", "cr:samplingRate"),
        ("sc", "https://schema.org/"),
        ("separator", "cr:separator"),
        ("source", "cr:source"),
        ("subField", "cr:subField"),
        ("transform", "cr:transform"),
    ] {
        context.insert(key.to_owned(), Value::from(value));
    }
    for key in ["data", "examples"] {
        context.insert(
            key.to_owned(),
            json!({"@id": format!("cr:{key}"), "@type": "@json"}),
        );
    }
    context.insert(
        "dataType".to_owned(),
        json!({"@id": "cr:dataType", "@type": "@vocab"}),
    );
    Value::Object(context)
}
