use super::*;

#[test]
fn a_header_that_lies_is_refused() {
    let (mut file, layout) = header(3, Stored::Raw { side: 8 });
    file.resize(layout.end, 0);
    let read = |file: &[u8], n, side| read_layout(file, n, side, Encoding::Raw);
    assert_eq!(read(&file, 3, 8), Ok(layout));
    let lie = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = file.clone();
        change(&mut file);
        read(&file, 3, 8).unwrap_err()
    };
    assert!(lie(&|file| file.truncate(4700)).contains("bytes"));
    assert!(lie(&|file| file.push(0)).contains("bytes"));
    assert!(lie(&|file| file[0] ^= 0x80).contains("header"));
    let shape = file.windows(3).position(|three| three == b"[3,").unwrap() + 1;
    assert!(lie(&|file| file[shape] = b'9').contains("header"));
    assert!(read(&file, 4, 8).is_err() && read(&file, 3, 9).is_err());
    assert!(read(&[], 3, 8).is_err());
}

#[test]
fn offsets_that_lie_are_refused() {
    let (mut file, layout) = header(3, Stored::Jpeg { blob: 24 });
    file.resize(layout.end, 0);
    for (place, offset) in [0u64, 5, 11, 18].into_iter().enumerate() {
        let at = layout.offsets.unwrap() + place * 8;
        file[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    let read = |file: &[u8], n| read_layout(file, n, 8, Encoding::Jpeg);
    let at = read(&file, 3).unwrap().offsets.unwrap();
    for (place, value) in [(0, 1), (1, 0), (1, 1 << 40), (3, 1 << 40), (3, 0)] {
        let mut file = file.clone();
        file[at + place * 8..][..8].copy_from_slice(&u64::to_le_bytes(value));
        assert!(read(&file, 3).is_err(), "offset {place} = {value}");
    }
    assert!(read(&file, 2).is_err() && read(&file[..file.len() - 8], 3).is_err());
    assert!(read(&file[..100], 3).is_err());
}
