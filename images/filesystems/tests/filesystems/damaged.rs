//! Damage is an error or other contents, but never a panic, an endless walk, or more memory than the image warrants.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use test_case::test_case;
use wheeltap_filesystems::{FileSystem, FileSystemError, NodeKind, Source};

use crate::make;
use crate::sample::fill;

/// How often each image is damaged.
const ROUNDS: u64 = 150;

/// What is damaged is chosen by blocks of so many bytes.
const BLOCK: usize = 512;

/// The most bytes that are read of one damaged image: a damaged size can promise any number of zeros.
const MOST_READ: u64 = 64 << 20;

/// Reads everything there is, up to the first error.
fn read_all(image: &Path) -> Result<u64, FileSystemError> {
    let filesystem = FileSystem::open(Source::from_file(File::open(image)?)?)?;
    let mut read = 0;
    for node in filesystem.walk() {
        let node = node?;
        // One file after the other may be damaged, so each gets its chance.
        let _ = filesystem.xattrs(&node.inode);
        if node.inode.kind == NodeKind::Symlink {
            let _ = filesystem.target(&node.inode);
        }
        if node.inode.kind == NodeKind::File
            && read < MOST_READ
            && let Ok(contents) = filesystem.contents(&node.inode)
        {
            let mut sink = std::io::sink();
            read += std::io::copy(&mut contents.take(MOST_READ - read), &mut sink).unwrap_or(0);
        }
    }
    Ok(read)
}

#[test_case("mkfs.ext4")]
#[test_case("mkfs.ext4 -I 256 -O inline_data"; "ext4 inline")]
#[test_case("mkfs.ext2 -b 1024"; "ext2")]
#[test_case("mkfs.erofs")]
#[test_case("mkfs.erofs -zlz4hc"; "erofs compressed")]
#[test_case("mkfs.erofs -zlz4hc -C65536 -Eall-fragments,ztailpacking,dedupe"; "erofs packed")]
#[test_case("mkfs.erofs --chunksize=4096"; "erofs in chunks")]
#[test_case("mksquashfs -comp gzip"; "squashfs gzip")]
#[test_case("mksquashfs -comp xz"; "squashfs xz")]
#[test_case("mksquashfs -comp zstd"; "squashfs zstd")]
#[test_case("mksquashfs -noI -noD -noF -noX"; "squashfs plain")]
#[test_case("mkfs.btrfs")]
#[test_case("mkfs.vfat -F 16"; "vfat")]
fn damage_is_survived(tool: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    fill(&tree, tool.starts_with("mkfs.vfat"), true);
    let Some(image) = make::image(tool, &tree, scratch.path()) else { return };
    let good = std::fs::read(&image).unwrap();
    assert!(read_all(&image).unwrap() > 200_000);
    // Damage where there is something: most of these images is empty.
    let block = |at: usize| &good[at..good.len().min(at + BLOCK)];
    let blocks = (0..good.len()).step_by(BLOCK);
    let full: Vec<usize> = blocks.filter(|at| block(*at).iter().any(|byte| *byte != 0)).collect();
    let file = File::options().write(true).open(&image).unwrap();
    for round in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(round);
        // The metadata of most is at the start, and a hit in it says more than one in contents.
        let places = if round % 2 == 0 { &full[..full.len().min(64)] } else { &full[..] };
        let mut damaged = Vec::new();
        for _ in 0..1 << (round % 8) {
            let start = places[random.usize(..places.len())];
            let at = start + random.usize(..block(start).len());
            let byte = match random.u8(..4) {
                0 => 0xff,
                1 => 0,
                2 => good[at] ^ 1 << random.u8(..8),
                _ => random.u8(..),
            };
            file.write_all_at(&[byte], at as u64).unwrap();
            damaged.push(at);
        }
        let cut = (round % 10 == 9).then(|| random.usize(..full[full.len() - 1]));
        if let Some(cut) = cut {
            file.set_len(cut as u64).unwrap();
        }
        // For whoever has to find out which round it was that never came back.
        println!("{tool}: round {round}");
        let _ = read_all(&image);
        if let Some(cut) = cut {
            file.set_len(good.len() as u64).unwrap();
            for start in full.iter().filter(|start| **start + BLOCK > cut) {
                file.write_all_at(block(*start), *start as u64).unwrap();
            }
        }
        for at in damaged {
            file.write_all_at(&good[at..=at], at as u64).unwrap();
        }
    }
    assert!(read_all(&image).unwrap() > 200_000);
}
