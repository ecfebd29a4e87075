//! Encodes TensorBoard's event files: TFRecord framing around `tensorflow.Event` messages, of which scalars are all
//! that is needed.
//!
//! The file is a function of `metrics.jsonl`: events carry no clock (`wall_time` is 0), so TensorBoard's axis is the
//! step.

use logodex_schemas::run::MetricsLine;

/// TensorBoard reads files whose name holds `tfevents`; what follows is usually a time and a machine.
pub const FILE_NAME: &str = "events.out.tfevents.0.logodex";

/// The record that opens a file: `Event { file_version: "brain.Event:2" }`.
pub fn file_version() -> Vec<u8> {
    let mut event = Vec::new();
    bytes_field(&mut event, 3, b"brain.Event:2");
    record(&event)
}

/// The records of a line of `metrics.jsonl`: an event with all of its numbers. A warning has none.
pub fn events(line: &MetricsLine) -> Vec<u8> {
    let (step, scalars) = match line {
        MetricsLine::Step {
            step,
            loss,
            lr,
            grad_norm,
            monitor,
            images_per_sec,
            ..
        } => {
            let mut scalars = vec![
                ("step/loss", Some(*loss)),
                ("step/grad_norm", Some(*grad_norm)),
                ("step/images_per_sec", Some(*images_per_sec)),
                ("lr/backbone", Some(lr.backbone)),
                ("lr/head", Some(lr.head)),
                ("lr/loss", Some(lr.loss)),
            ];
            if let Some(reading) = monitor {
                scalars.extend([
                    ("monitor/distance", Some(reading.distance)),
                    ("monitor/norm", Some(reading.norm)),
                    ("monitor/effective_rank", Some(reading.effective_rank)),
                    ("monitor/active", reading.active),
                ]);
            }
            (*step, scalars)
        }
        MetricsLine::Epoch {
            step,
            train_loss,
            val_loss,
            map_at_r,
            f1,
            threshold,
            freeze,
            images_per_sec,
            ..
        } => (
            *step,
            vec![
                ("epoch/train_loss", Some(*train_loss)),
                ("epoch/val_loss", *val_loss),
                ("epoch/map_at_r", *map_at_r),
                ("epoch/f1", *f1),
                ("epoch/threshold", *threshold),
                ("epoch/freeze", Some(f64::from(*freeze))),
                ("epoch/images_per_sec", Some(*images_per_sec)),
            ],
        ),
        MetricsLine::Warning { .. } => return Vec::new(),
    };
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        if let Some(value) = value {
            bytes_field(&mut summary, 1, &scalar(tag, value as f32));
        }
    }
    let mut event = Vec::new();
    varint(&mut event, 2 << 3); // int64 step = 2
    varint(&mut event, step);
    bytes_field(&mut event, 5, &summary); // Summary summary = 5
    record(&event)
}

/// `Summary.Value { string tag = 1; float simple_value = 2; }`.
fn scalar(tag: &str, value: f32) -> Vec<u8> {
    let mut message = Vec::new();
    bytes_field(&mut message, 1, tag.as_bytes());
    message.push((2 << 3) | 5); // 32 bits
    message.extend(value.to_le_bytes());
    message
}

/// A length-delimited field: text, bytes or a message.
fn bytes_field(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(message, (field << 3) | 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// TFRecord: length u64, masked CRC of the length u32, data, masked CRC of the data u32, little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc32c(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc32c(data).to_le_bytes());
    record
}

fn masked_crc32c(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected, bit by bit: a record has a few hundred bytes.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnoli_s() {
        // The check value of CRC-32/ISCSI, and RFC 3720's 32 bytes of zeros.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn long_numbers_are_cut_into_sevens() {
        let mut bytes = Vec::new();
        varint(&mut bytes, 300);
        assert_eq!(bytes, [0xac, 0x02]);
    }

    #[test]
    fn the_opening_record_is_what_tensorboard_writes() {
        // The first bytes of any file of torch.utils.tensorboard's SummaryWriter but for the event's wall time.
        let opening = file_version();
        assert_eq!(opening.len(), 8 + 4 + 15 + 4);
        assert_eq!(opening[..8], 15u64.to_le_bytes());
        assert_eq!(&opening[12..27], b"\x1a\x0dbrain.Event:2");
    }
}
