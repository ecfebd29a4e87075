//! A gallery as one Parquet file: a row per picture, which any tool reads, and another gallery of the same model takes in. Of
//! which model the embeddings are says the file's own metadata, under [`MODEL_KEY`].

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use logodex_pixels::Crop;
use logodex_program::usage;
use logodex_schemas::gallery::{GalleryModel, GalleryPicture, PictureSource};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::{ListAccessor, Row, RowAccessor};
use parquet::schema::parser::parse_message_type;

use crate::gallery::enrol::NewPicture;
use crate::gallery::snapshot::Gallery;
use crate::gallery::snapshot::short;

/// The key of the [`GalleryModel`], as JSON, in the file's metadata.
const MODEL_KEY: &str = "logodex.gallery.model";
/// The columns. `kind` and `path` say where a picture was taken from: a file, or a row of a dataset.
const SCHEMA: &str = "message gallery {
    required binary brand (STRING);
    required binary kind (STRING);
    required binary path (STRING);
    optional binary manifest_blake3 (STRING);
    optional int64 row;
    required binary blake3 (STRING);
    required binary phash (STRING);
    optional int32 box_x0; optional int32 box_y0; optional int32 box_x1; optional int32 box_y1;
    required int32 crop_x; required int32 crop_y; required int32 crop_width; required int32 crop_height;
    required group embedding (LIST) { repeated group list { required float element; } }
}";
/// Pictures of a row group.
const GROUP: usize = 65_536;

/// The bytes of the file.
///
/// # Errors
/// What the writer reports.
pub fn written(gallery: &Gallery) -> Result<Vec<u8>> {
    let model = KeyValue::new(
        MODEL_KEY.to_owned(),
        serde_json::to_string(gallery.model())?,
    );
    let properties = WriterProperties::builder()
        .set_created_by(format!("logodex {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_key_value_metadata(Some(vec![model]))
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    for (group, pictures) in gallery.pictures().chunks(GROUP).enumerate() {
        let mut columns = Columns(writer.next_row_group()?);
        write_group(&mut columns, gallery, group * GROUP, pictures)?;
        columns.0.close()?;
    }
    Ok(writer.into_inner()?)
}

fn write_group(
    columns: &mut Columns<'_>,
    gallery: &Gallery,
    first: usize,
    pictures: &[GalleryPicture],
) -> Result<()> {
    let row_of = |picture: &GalleryPicture| match &picture.source {
        PictureSource::File { .. } => None,
        PictureSource::Row {
            manifest_blake3,
            row,
            ..
        } => Some((manifest_blake3.clone(), row.cast_signed())),
    };
    columns.texts(pictures, |picture| &picture.brand)?;
    columns.texts(pictures, |picture| match picture.source {
        PictureSource::File { .. } => "file",
        PictureSource::Row { .. } => "row",
    })?;
    // Of a picture that the gallery keeps, where it lies for others.
    let paths = pictures.iter().map(|picture| match &picture.source {
        PictureSource::Row { dataset, .. } => Ok(ByteArray::from(dataset.as_str())),
        PictureSource::File { path } => {
            let path = std::path::absolute(gallery.store().picture(path))?;
            let path = path.to_str().context("the gallery's path is not UTF-8")?;
            Ok(ByteArray::from(path))
        }
    });
    let paths = paths.collect::<Result<Vec<_>>>()?;
    columns.write::<ByteArrayType>(&paths, None, None)?;
    columns.optional::<ByteArrayType>(pictures, |picture| {
        Some(ByteArray::from(row_of(picture)?.0.as_str()))
    })?;
    columns.optional::<Int64Type>(pictures, |picture| Some(row_of(picture)?.1))?;
    columns.texts(pictures, |picture| &picture.blake3)?;
    columns.texts(pictures, |picture| &picture.phash)?;
    for edge in 0..4 {
        columns
            .optional::<Int32Type>(pictures, |picture| Some(picture.bbox?[edge].cast_signed()))?;
    }
    for edge in 0..4 {
        let values = pictures
            .iter()
            .map(|picture| picture.crop[edge].cast_signed());
        columns.write::<Int32Type>(&values.collect::<Vec<_>>(), None, None)?;
    }
    let dim = gallery.model().embedding_dim as usize;
    let embeddings = (first..first + pictures.len()).flat_map(|place| gallery.embedding(place));
    let embeddings: Vec<f32> = embeddings.collect();
    // Every value is there; the first of each list begins it.
    let defined = vec![1; embeddings.len()];
    let repeated: Vec<i16> = (0..embeddings.len())
        .map(|i| i16::from(i % dim != 0))
        .collect();
    columns.write::<FloatType>(&embeddings, Some(&defined), Some(&repeated))
}

/// Writes one column after the other.
struct Columns<'a>(SerializedRowGroupWriter<'a, Vec<u8>>);

impl Columns<'_> {
    fn write<T: DataType>(
        &mut self,
        values: &[T::T],
        defined: Option<&[i16]>,
        repeated: Option<&[i16]>,
    ) -> Result<()> {
        let mut column = self.0.next_column()?.context("a column of the schema")?;
        column.typed::<T>().write_batch(values, defined, repeated)?;
        Ok(column.close()?)
    }

    fn texts<'p>(
        &mut self,
        pictures: &'p [GalleryPicture],
        text: impl Fn(&'p GalleryPicture) -> &'p str,
    ) -> Result<()> {
        let values: Vec<ByteArray> = pictures.iter().map(|p| ByteArray::from(text(p))).collect();
        self.write::<ByteArrayType>(&values, None, None)
    }

    fn optional<T: DataType>(
        &mut self,
        pictures: &[GalleryPicture],
        value: impl Fn(&GalleryPicture) -> Option<T::T>,
    ) -> Result<()> {
        let all: Vec<Option<T::T>> = pictures.iter().map(value).collect();
        let defined: Vec<i16> = all.iter().map(|value| i16::from(value.is_some())).collect();
        let values: Vec<T::T> = all.into_iter().flatten().collect();
        self.write::<T>(&values, Some(&defined), None)
    }
}

/// The pictures of a file that [`written`] made, for a gallery of the same model.
///
/// # Errors
/// [`logodex_program::Failure::Usage`] for a file that is none of these, or is of another model.
pub fn read(path: &Path, gallery: &Gallery) -> Result<Vec<NewPicture>> {
    let unusable = |error: anyhow::Error| usage(format!("{}: {error:#}", path.display()));
    let pictures = || -> Result<Vec<NewPicture>> {
        let file = SerializedFileReader::new(std::fs::File::open(path)?)?;
        let metadata = file.metadata().file_metadata().key_value_metadata();
        let model = metadata
            .into_iter()
            .flatten()
            .find(|entry| entry.key == MODEL_KEY);
        let model = model.and_then(|entry| entry.value.as_ref());
        let model: GalleryModel = serde_json::from_str(model.context(
            "it says of no model that its embeddings are of (was it written by `logodex export`?)",
        )?)?;
        let own = gallery.model();
        ensure!(
            model.fingerprint == own.fingerprint,
            "its embeddings are of another model (run {:?}, fingerprint {}…) than the gallery's (run {:?}, fingerprint {}…); embed the gallery that it came from again (logodex reembed), and export that",
            model.run,
            short(&model.fingerprint),
            own.run,
            short(&own.fingerprint)
        );
        let mut pictures = Vec::new();
        for row in file.get_row_iter(Some(parse_message_type(SCHEMA)?))? {
            let row = row?;
            let n = pictures.len() + 1;
            let picture = picture(&row, own.embedding_dim as usize);
            pictures.push(picture.with_context(|| format!("row {n}"))?);
        }
        ensure!(!pictures.is_empty(), "it holds no picture");
        Ok(pictures)
    };
    pictures().map_err(unusable)
}

fn picture(row: &Row, dim: usize) -> Result<NewPicture> {
    let text = |at: usize| -> Result<String> { Ok(row.get_string(at)?.clone()) };
    let number = |at: usize| -> Result<u32> { Ok(u32::try_from(row.get_int(at)?)?) };
    let source = match text(1)?.as_str() {
        "file" => PictureSource::File { path: text(2)? },
        "row" => PictureSource::Row {
            dataset: text(2)?,
            manifest_blake3: text(3)?,
            row: u64::try_from(row.get_long(4)?)?,
        },
        other => anyhow::bail!("a source of kind {other:?}"),
    };
    let bbox = match row.is_null(7)? {
        true => None,
        false => Some([number(7)?, number(8)?, number(9)?, number(10)?]),
    };
    let list = row.get_list(15)?;
    ensure!(
        list.len() == dim,
        "an embedding of {} numbers, expected {dim}",
        list.len()
    );
    let embedding = (0..dim)
        .map(|at| list.get_float(at))
        .collect::<Result<Vec<f32>, _>>()?;
    let norm: f32 = embedding.iter().map(|x| x * x).sum();
    ensure!(
        (norm - 1.0).abs() < 0.01,
        "an embedding that is not of length one"
    );
    Ok(NewPicture {
        brand: text(0)?,
        source,
        blake3: text(5)?,
        bbox,
        crop: Crop {
            x: number(11)?,
            y: number(12)?,
            width: number(13)?,
            height: number(14)?,
        },
        phash: u64::from_str_radix(&text(6)?, 16).context("its phash is no number")?,
        embedding,
    })
}
