//! What a partition holds, by the marks that each format has in its first bytes.

use std::fmt;

use crate::bytes::{u16_at, u32_at};
use crate::{FileSystemError, Source};

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of file systems say it all")]
pub enum Kind {
    Ext2,
    Ext3,
    Ext4,
    Squashfs,
    Erofs,
    Btrfs,
    Vfat,
    Luks,
    BitLocker,
    Verity,
    Swap,
    Xfs,
    Iso9660,
    Ntfs,
    F2fs,
    Lvm,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
            Self::Btrfs => "btrfs",
            Self::Vfat => "vfat",
            Self::Luks => "encrypted (LUKS)",
            Self::BitLocker => "encrypted (BitLocker)",
            Self::Verity => "dm-verity hashes",
            Self::Swap => "swap",
            Self::Xfs => "xfs",
            Self::Iso9660 => "iso9660",
            Self::Ntfs => "ntfs",
            Self::F2fs => "f2fs",
            Self::Lvm => "LVM",
        })
    }
}

/// Where the mark of a format is, and how it looks.
const MARKS: [(Kind, u64, &[u8]); 12] = [
    (Kind::Luks, 0, b"LUKS\xba\xbe"),
    (Kind::BitLocker, 3, b"-FVE-FS-"),
    (Kind::Squashfs, 0, b"hsqs"),
    (Kind::Erofs, 1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
    (Kind::Btrfs, 0x1_0040, b"_BHRfS_M"),
    (Kind::Xfs, 0, b"XFSB"),
    (Kind::Ntfs, 3, b"NTFS    "),
    (Kind::F2fs, 1024, &[0x10, 0x20, 0xf5, 0xf2]),
    (Kind::Swap, 4086, b"SWAPSPACE2"),
    (Kind::Iso9660, 0x8001, b"CD001"),
    (Kind::Lvm, 512, b"LABELONE"),
    (Kind::Verity, 0, b"verity\0\0"),
];

/// What is there, or `None` if nothing that is known.
///
/// # Errors
///
/// If it can't be read.
pub(crate) fn detect(source: &Source) -> Result<Option<Kind>, FileSystemError> {
    let at = |offset: u64, count: usize| match source.read(offset, count) {
        Ok(bytes) => Ok(bytes),
        Err(FileSystemError::Outside { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    for (kind, offset, mark) in MARKS {
        if at(offset, mark.len())? == mark {
            return Ok(Some(kind));
        }
    }
    let ext = at(1024, 1024)?;
    if u16_at(&ext, 56) == 0xef53 {
        let (compatible, incompatible, read_only) =
            (u32_at(&ext, 92), u32_at(&ext, 96), u32_at(&ext, 100));
        // As blkid has it: whatever ext3 doesn't know is ext4.
        return Ok(Some(if incompatible & !0x16 != 0 || read_only & !0x7 != 0 {
            Kind::Ext4
        } else if compatible & 4 != 0 {
            Kind::Ext3
        } else {
            Kind::Ext2
        }));
    }
    let boot = at(0, 512)?;
    let sector = u16_at(&boot, 11);
    let fat = boot.get(54..57) == Some(b"FAT") || boot.get(82..85) == Some(b"FAT");
    if u16_at(&boot, 510) == 0xaa55 && fat && [512, 1024, 2048, 4096].contains(&sector) {
        return Ok(Some(Kind::Vfat));
    }
    Ok(None)
}
