//! Stored ZIP archives, read and packed by the tests themselves.

use flate2::Crc;

/// The files of a stored archive, in their order.
pub(super) fn unpack(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number = |at: usize, length: usize| {
        archive[at..at + length].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (mut files, mut at) = (Vec::new(), 0);
    while number(at, 4) == 0x0403_4b50 {
        let (size, name, extra) = (number(at + 18, 4), number(at + 26, 2), number(at + 28, 2));
        let start = at + 30 + name + extra;
        let name = String::from_utf8(archive[at + 30..at + 30 + name].to_vec()).unwrap();
        files.push((name, archive[start..start + size].to_vec()));
        at = start + size;
    }
    files
}

/// A stored archive as other programs pack them: with dates and rights of their own.
pub(super) fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut crc = Crc::new();
        crc.update(bytes);
        let at = u32::try_from(archive.len()).unwrap();
        let mut head = vec![20, 0, 0, 0, 0, 0, 0x21, 0x60, 0x75, 0x5b];
        head.extend(crc.sum().to_le_bytes());
        head.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes().repeat(2));
        head.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        head.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&head);
        archive.extend(name.as_bytes());
        archive.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&head);
        directory.extend([0; 6]);
        directory.extend([0, 0, 0x80, 0x01]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, at) = (files.len(), archive.len());
    archive.extend(&directory);
    if count >= 0xffff {
        let end = archive.len() as u64;
        archive.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\x03\x2d\0\0\0\0\0\0\0\0\0");
        archive.extend((count as u64).to_le_bytes().repeat(2));
        archive.extend((directory.len() as u64).to_le_bytes());
        archive.extend((at as u64).to_le_bytes());
        archive.extend(b"PK\x06\x07\0\0\0\0");
        archive.extend(end.to_le_bytes());
        archive.extend([1, 0, 0, 0]);
    }
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes().repeat(2));
    archive.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    archive.extend(u32::try_from(at).unwrap().to_le_bytes());
    archive.extend([0, 0]);
    archive
}
