//! The outermost fields of an ONNX file, a protocol-buffers message, without copying them.

/// Why bytes are no model of ours.
pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// `ModelProto.graph`.
const GRAPH: u64 = 7;
/// `ModelProto.metadata_props`.
const METADATA_PROPS: u64 = 14;
/// `StringStringEntryProto.key` and `.value`.
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// What is looked at of a file.
pub(super) struct Parts<'a> {
    graph: &'a [u8],
    entries: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Parts<'a> {
    /// The value of the metadata under `key`.
    pub(super) fn metadata(&self, key: &str) -> Option<&'a [u8]> {
        let found = self.entries.iter().find(|(own, _)| *own == key.as_bytes());
        found.map(|(_, value)| *value)
    }

    pub(super) fn fingerprint(&self) -> String {
        blake3::Hasher::new()
            .update(self.graph)
            .finalize()
            .to_hex()
            .to_string()
    }
}

/// Finds them. Where a message has a field twice, protocol buffers merge both: a graph in two parts is none of ours.
pub(super) fn parts(onnx: &[u8]) -> Result<Parts<'_>, Error> {
    let mut graph = None;
    let mut entries = Vec::new();
    let mut rest = onnx;
    while let Some((number, value)) = field(&mut rest)? {
        match number {
            GRAPH if graph.is_some() => return Err("it has two graphs".into()),
            GRAPH => graph = Some(value),
            METADATA_PROPS => entries.push(entry(value)?),
            _ => {}
        }
    }
    let graph = graph.ok_or("it is no ONNX model: it has no graph")?;
    Ok(Parts { graph, entries })
}

fn entry(mut message: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let (mut key, mut value) = (&[][..], &[][..]);
    while let Some((number, bytes)) = field(&mut message)? {
        match number {
            KEY => key = bytes,
            VALUE => value = bytes,
            _ => {}
        }
    }
    Ok((key, value))
}

/// The next field's number and, where it has a length, its bytes; none at the end.
fn field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, &'a [u8])>, Error> {
    const BROKEN: &str = "it is no ONNX model, or it is cut off";
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = varint(rest).ok_or(BROKEN)?;
    let length = match tag & 7 {
        0 => {
            varint(rest).ok_or(BROKEN)?;
            0
        }
        1 => 8,
        2 => varint(rest).ok_or(BROKEN)?,
        5 => 4,
        _ => return Err(BROKEN.into()),
    };
    let (value, after) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(BROKEN)?;
    *rest = after;
    Ok(Some((tag >> 3, value)))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A field with a length.
    fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
        let length = value.len();
        let mut all = vec![number << 3 | 2, length as u8 | 0x80, (length >> 7) as u8];
        all.extend(value);
        all
    }

    pub(in crate::onnx) fn model(graph: &[u8], props: &[(&str, &[u8])]) -> Vec<u8> {
        let mut all = vec![1 << 3, 8];
        all.extend(bytes(2, b"some tool"));
        all.extend(bytes(7, graph));
        for (key, value) in props {
            let entry = [bytes(1, key.as_bytes()), bytes(2, value)].concat();
            all.extend(bytes(14, &entry));
        }
        all
    }

    #[test]
    fn the_fingerprint_is_of_the_graph_alone() {
        let graph = [7; 300];
        let file = model(&graph, &[("a", b"1"), ("logodex", b"{}")]);
        let found = parts(&file).unwrap();
        assert_eq!(found.metadata("logodex"), Some(&b"{}"[..]));
        assert_eq!(found.metadata("b"), None);
        assert_eq!(found.fingerprint(), blake3::hash(&graph).to_hex().as_str());
        let other = model(&graph, &[]);
        assert_eq!(parts(&other).unwrap().fingerprint(), found.fingerprint());
        let other = model(&[8; 300], &[]);
        assert_ne!(parts(&other).unwrap().fingerprint(), found.fingerprint());
    }

    #[test]
    fn what_is_no_model_or_is_cut_off_is_refused() {
        let file = model(&[7; 300], &[("logodex", b"{}")]);
        let whole = [2, file.len() - bytes(14, &[0; 15]).len(), 14, file.len()];
        for length in 0..file.len() {
            let cut = parts(&file[..length]);
            assert!(cut.is_err() || whole.contains(&length), "{length}");
        }
        for bad in [
            &b""[..],
            b"PK\x03\x04 and so on",
            b"{\"format\": 1}",
            &[0xff; 40],
        ] {
            assert!(parts(bad).is_err());
        }
        let twice = [model(&[1], &[]), model(&[2], &[])].concat();
        assert!(parts(&twice).is_err());
    }
}
