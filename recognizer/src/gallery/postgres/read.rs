//! From tables to what a gallery holds.

use anyhow::Result;
use half::f16;
use logodex_program::corrupt;
use logodex_schemas::gallery::{GalleryPicture, Numbers, PictureSource};
use pgvector::{HalfVector, Vector};
use postgres::binary_copy::{BinaryCopyOutIter, BinaryCopyOutRow};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, Json, Kind, ToSql, Type};
use postgres::{GenericClient, Transaction};

use super::address::Address;
use super::failure::told;
use super::tables::Head;
use crate::gallery::contents::{Contents, brands};
use crate::gallery::matrix::Matrix;

/// pgvector's type of the columns that hold vectors of such numbers.
pub(super) fn vector_type(
    client: &mut impl GenericClient,
    at: &Address,
    numbers: Numbers,
) -> Result<Type> {
    let name = match numbers {
        Numbers::F32 => "vector",
        Numbers::F16 => "halfvec",
    };
    let found = client.query_one("SELECT to_regtype($1)::oid", &[&name]);
    let oid: Option<u32> = found
        .and_then(|row| row.try_get(0))
        .map_err(|e| told(at, &e))?;
    let oid = oid.ok_or_else(|| {
        corrupt(format!(
            "{at}: its database has no type {name}: is pgvector gone?"
        ))
    })?;
    Ok(Type::new(name.to_owned(), oid, Kind::Simple, String::new()))
}

/// A vector as the tables hold it.
pub(super) enum Stored {
    Full(Vector),
    Half(HalfVector),
}

impl Stored {
    pub(super) fn new(values: &[f32], numbers: Numbers) -> Self {
        match numbers {
            Numbers::F32 => Self::Full(Vector::from(values.to_vec())),
            Numbers::F16 => Self::Half(HalfVector::from_f32_slice(values)),
        }
    }

    pub(super) fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Full(vector) => vector,
            Self::Half(vector) => vector,
        }
    }

    pub(super) fn values(self) -> Vec<f32> {
        match self {
            Self::Full(vector) => vector.to_vec(),
            Self::Half(vector) => vector.as_slice().iter().copied().map(f16::to_f32).collect(),
        }
    }
}

impl<'a> FromSql<'a> for Stored {
    fn from_sql(
        ty: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match <Vector as FromSql>::accepts(ty) {
            true => <Vector as FromSql>::from_sql(ty, raw).map(Self::Full),
            false => <HalfVector as FromSql>::from_sql(ty, raw).map(Self::Half),
        }
    }

    fn accepts(ty: &Type) -> bool {
        <Vector as FromSql>::accepts(ty) || <HalfVector as FromSql>::accepts(ty)
    }
}

/// All that a gallery holds, within a transaction that nobody writes beside, or that sees one state only.
pub(super) fn contents(
    transaction: &mut Transaction<'_>,
    at: &Address,
    head: &Head,
) -> Result<Contents> {
    let wrong = |what: String| corrupt(format!("{at}: {what}"));
    let dim = head.model.embedding_dim as usize;
    let vector = vector_type(transaction, at, head.numbers)?;
    let flat = |mut rows: Vec<(Vec<f32>, usize)>, what: &str| -> Result<Matrix> {
        rows.sort_unstable_by_key(|(_, place)| *place);
        let mut values = Vec::with_capacity(rows.len() * dim);
        for (row, _) in rows {
            if row.len() != dim {
                return Err(wrong(format!(
                    "{what} has {} numbers, expected {dim}",
                    row.len()
                )));
            }
            values.extend(row);
        }
        Ok(Matrix::owned(dim, values))
    };

    let query = "COPY (SELECT brand, place, blake3, box, crop, phash, source, embedding FROM picture) TO STDOUT (FORMAT binary)";
    let types = [
        Type::TEXT,
        Type::INT8,
        Type::TEXT,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::TEXT,
        Type::JSONB,
        vector.clone(),
    ];
    let mut found = Vec::new();
    each(transaction, at, query, &types, |row| {
        found.push((
            row.try_get::<i64>(1)?,
            picture(row)?,
            row.try_get::<Stored>(7)?.values(),
        ));
        Ok(())
    })?;
    // Sorted here: the server is what many share.
    found.sort_unstable_by(|a, b| (&a.1.brand, a.0).cmp(&(&b.1.brand, b.0)));
    let mut pictures = Vec::with_capacity(found.len());
    let mut embeddings = Vec::with_capacity(found.len());
    for (place, (_, picture, embedding)) in found.into_iter().enumerate() {
        let record = picture.record();
        pictures.push(record.ok_or_else(|| wrong("a picture's box or crop is none".to_owned()))?);
        embeddings.push((embedding, place));
    }

    let query = "COPY (SELECT name, pictures, prototype FROM brand) TO STDOUT (FORMAT binary)";
    let mut counted = Vec::new();
    let mut prototypes = Vec::new();
    each(
        transaction,
        at,
        query,
        &[Type::TEXT, Type::INT4, vector],
        |row| {
            counted.push((row.try_get::<String>(0)?, row.try_get::<i32>(1)?));
            prototypes.push(row.try_get::<Stored>(2)?.values());
            Ok(())
        },
    )?;
    let mut order: Vec<usize> = (0..counted.len()).collect();
    order.sort_unstable_by(|a, b| counted[*a].0.cmp(&counted[*b].0));
    let expected = brands(&pictures);
    let fits = expected.len() == order.len()
        && order.iter().zip(&expected).all(|(&at, brand)| {
            counted[at].0 == brand.name && counted[at].1 as usize == brand.pictures.len()
        });
    if !fits {
        return Err(wrong(
            "its tables of brands and of pictures contradict each other".to_owned(),
        ));
    }
    let mut places = vec![0; order.len()];
    for (place, &row) in order.iter().enumerate() {
        places[row] = place;
    }
    Ok(Contents {
        generation: head.generation,
        model: head.model.clone(),
        numbers: head.numbers,
        embeddings: flat(embeddings, "an embedding")?,
        prototypes: flat(prototypes.into_iter().zip(places).collect(), "a prototype")?,
        pictures,
        calibration: head.calibration.clone(),
        scene_calibration: head.scene_calibration.clone(),
    })
}

/// A row of `picture`.
struct Row {
    brand: String,
    blake3: String,
    bbox: Option<Vec<i32>>,
    crop: Vec<i32>,
    phash: String,
    source: PictureSource,
}

fn picture(row: &BinaryCopyOutRow) -> Result<Row, postgres::Error> {
    Ok(Row {
        brand: row.try_get(0)?,
        blake3: row.try_get(2)?,
        bbox: row.try_get(3)?,
        crop: row.try_get(4)?,
        phash: row.try_get(5)?,
        source: row.try_get::<Json<_>>(6)?.0,
    })
}

impl Row {
    fn record(self) -> Option<GalleryPicture> {
        let four = |values: Vec<i32>| -> Option<[u32; 4]> {
            let values: Result<Vec<u32>, _> = values.into_iter().map(u32::try_from).collect();
            values.ok()?.try_into().ok()
        };
        let bbox = match self.bbox {
            Some(values) => Some(four(values)?),
            None => None,
        };
        Some(GalleryPicture {
            brand: self.brand,
            source: self.source,
            blake3: self.blake3,
            bbox,
            crop: four(self.crop)?,
            phash: self.phash,
        })
    }
}

/// Every row of a COPY.
fn each(
    transaction: &mut Transaction<'_>,
    at: &Address,
    query: &str,
    types: &[Type],
    mut take: impl FnMut(&BinaryCopyOutRow) -> Result<(), postgres::Error>,
) -> Result<()> {
    let mut read = || -> Result<(), postgres::Error> {
        let mut rows = BinaryCopyOutIter::new(transaction.copy_out(query)?, types);
        while let Some(row) = rows.next()? {
            take(&row)?;
        }
        Ok(())
    };
    read().map_err(|e| told(at, &e))
}
