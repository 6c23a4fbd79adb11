//! Extended attributes, which are in what an inode has left, in a block of their own, or in an inode of their own.

use super::reader::{Ext, INLINE_DATA};
use crate::FileSystemError;
use crate::bytes::{u8_at, u16_at, u32_at};
use crate::tree::{Tree as _, Xattr, all, xattr_name};

const MAGIC: u32 = 0xea02_0000;

/// The longest value that Linux takes.
const MOST_OF_A_VALUE: u64 = 1 << 16;

/// The most bytes of all values, several of which can be in the same place.
const MOST_OF_ALL: usize = 4 << 20;

/// The flag of an inode that is the value of an attribute.
const IS_VALUE: u32 = 0x20_0000;

/// All attributes of an inode.
pub(super) fn xattrs(ext: &Ext, raw: &[u8]) -> Result<Vec<Xattr>, FileSystemError> {
    let mut all = of_inode(ext, raw)?;
    let number = u64::from(u32_at(raw, 104)) | u64::from(u16_at(raw, 118)) << 32;
    if number != 0 {
        let block = ext.block(number)?;
        if u32_at(&block, 0) != MAGIC {
            return Err(ext.damaged("a block of attributes is none"));
        }
        parse(ext, &block[32..], &block, &mut all)?;
    }
    Ok(all)
}

/// Those attributes that are in the inode itself.
pub(super) fn of_inode(ext: &Ext, raw: &[u8]) -> Result<Vec<Xattr>, FileSystemError> {
    let mut all = Vec::new();
    let start = 128 + usize::from(u16_at(raw, 128));
    if raw.len() > 128 && u32_at(raw, start) == MAGIC {
        let area = raw.get(start + 4..).unwrap_or_default();
        parse(ext, area, area, &mut all)?;
    }
    Ok(all)
}

/// Entries, and `values` in which their values are.
fn parse(
    ext: &Ext,
    mut entries: &[u8],
    values: &[u8],
    all_of_them: &mut Vec<Xattr>,
) -> Result<(), FileSystemError> {
    let mut total = 0;
    while entries.len() >= 16 && u32_at(entries, 0) != 0 {
        let name_end = 16 + usize::from(u8_at(entries, 0));
        let name = entries.get(16..name_end);
        let name = name.ok_or_else(|| ext.damaged("the name of an attribute has no end"))?;
        let (inode, size) = (u32_at(entries, 4), u32_at(entries, 8));
        let value = if inode == 0 {
            let start = usize::from(u16_at(entries, 2));
            let value = start.checked_add(size as usize).and_then(|end| values.get(start..end));
            value.ok_or_else(|| ext.damaged("the value of an attribute has no end"))?.to_owned()
        } else {
            // Nor a small one whose end is in an attribute, which could be in an inode again, and so on.
            if u32_at(&ext.raw(inode.into())?, 32) & (IS_VALUE | INLINE_DATA) != IS_VALUE {
                return Err(ext.damaged("the value of an attribute is a file"));
            }
            all(ext, &ext.inode(inode.into())?, MOST_OF_A_VALUE)?
        };
        total += value.len();
        if total > MOST_OF_ALL {
            return Err(ext.damaged("a file has too many attributes"));
        }
        all_of_them.push((xattr_name(u8_at(entries, 1), name), value));
        entries = entries.get(name_end.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}
