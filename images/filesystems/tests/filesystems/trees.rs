//! What was put in is what is read.

use std::fs::File;
use std::io::Read as _;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use test_case::test_case;
use wheeltap_filesystems::{FileSystem, Source};

use crate::make;
use crate::sample::{Lacks, fill, of_host, of_image};

const ALL: Lacks = Lacks { unix: false, hard_links: false, holes: false };
const NO_HOLES: Lacks = Lacks { holes: true, ..ALL };
const NO_HARD_LINKS: Lacks = Lacks { hard_links: true, ..ALL };
const NOT_UNIX: Lacks = Lacks { unix: true, ..ALL };

#[test_case("mkfs.ext4", "ext4", ALL)]
#[test_case("mkfs.ext4 -b 1024 -O ^64bit,^metadata_csum", "ext4", ALL; "ext4 with small blocks")]
#[test_case("mkfs.ext4 -I 256 -O inline_data", "ext4", NO_HOLES; "ext4 with small files in inodes")]
#[test_case("mkfs.ext2", "ext2", ALL)]
#[test_case("mkfs.ext2 -b 1024", "ext2", ALL; "ext2 with maps of three levels")]
#[test_case("mkfs.ext3", "ext3", ALL)]
#[test_case("mkfs.erofs", "erofs", ALL; "erofs without compression")]
#[test_case("mkfs.erofs -zlz4hc", "erofs", ALL; "erofs with lz4hc")]
#[test_case("mkfs.erofs -zlz4 -C65536", "erofs", ALL; "erofs with big clusters")]
#[test_case("mkfs.erofs -zlz4hc -Elegacy-compress", "erofs", ALL; "erofs with full indexes")]
#[test_case("mkfs.erofs -zlz4hc -Eztailpacking", "erofs", ALL; "erofs with packed tails")]
#[test_case("mkfs.erofs -zlz4hc -Efragments -C65536", "erofs", ALL; "erofs with fragments")]
#[test_case("mkfs.erofs -zlz4hc -Eall-fragments,ztailpacking", "erofs", ALL; "erofs of fragments only")]
#[test_case("mkfs.erofs -zlz4hc -Ededupe", "erofs", ALL; "erofs without doubles")]
#[test_case("mkfs.erofs -zlz4hc -Eforce-inode-extended -x1", "erofs", ALL; "erofs with long inodes")]
#[test_case("mkfs.erofs --chunksize=8192", "erofs", ALL; "erofs in chunks")]
#[test_case("mkfs.erofs --chunksize=4096 -Eforce-inode-blockmap", "erofs", ALL; "erofs with block maps")]
#[test_case("mksquashfs -comp gzip", "squashfs", ALL; "squashfs with gzip")]
#[test_case("mksquashfs -comp xz", "squashfs", ALL; "squashfs with xz")]
#[test_case("mksquashfs -comp xz -Xbcj x86", "squashfs", ALL; "squashfs with xz and a filter")]
#[test_case("mksquashfs -comp lz4", "squashfs", ALL; "squashfs with lz4")]
#[test_case("mksquashfs -comp zstd -b 1M", "squashfs", ALL; "squashfs with zstd")]
#[test_case("mksquashfs -noI -noD -noF -noX", "squashfs", ALL; "squashfs without compression")]
#[test_case("mksquashfs -no-fragments -comp zstd", "squashfs", ALL; "squashfs without fragments")]
#[test_case("mkfs.btrfs", "btrfs", NO_HARD_LINKS)]
#[test_case("mkfs.btrfs -m dup -n 65536", "btrfs", NO_HARD_LINKS; "btrfs with large nodes")]
#[test_case("mkfs.btrfs -M", "btrfs", NO_HARD_LINKS; "btrfs with mixed groups")]
#[test_case("mkfs.vfat -F 16", "vfat", NOT_UNIX; "vfat 16")]
#[test_case("mkfs.vfat -F 32 -s 1", "vfat", NOT_UNIX; "vfat 32")]
#[test_case("mkfs.vfat -F 12 -s 64", "vfat", NOT_UNIX; "vfat 12")]
fn what_was_put_in_is_read(tool: &str, kind: &str, lacks: Lacks) {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    fill(&tree, lacks.unix, false);
    let Some(image) = make::image(tool, &tree, scratch.path()) else { return };
    let source = Source::from_file(File::open(image).unwrap()).unwrap();
    let filesystem = FileSystem::open(source).unwrap();
    assert_eq!(filesystem.kind().to_string(), kind);
    let usage = filesystem.usage();
    assert!(usage.used > 500_000 && usage.used <= usage.total, "{usage:?}");

    let mut expected = of_host(&tree, lacks);
    let mut found = of_image(&filesystem, lacks);
    assert!(expected.len() > if lacks.unix { 100 } else { 3050 }, "{}", expected.len());
    if lacks.holes {
        expected.remove("/usr/sparse");
        found.remove("/usr/sparse");
    }
    // What the tool makes the root directory is its own affair.
    let roots = (expected.remove("/").unwrap(), found.remove("/").unwrap());
    assert_eq!(
        format!("{:?}", roots.0).split(',').next(),
        format!("{:?}", roots.1).split(',').next()
    );
    for (path, fact) in &expected {
        assert_eq!(found.get(path), Some(fact), "{path}");
    }
    let more: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
    assert!(more.is_empty(), "{more:?}");
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::read::ZlibEncoder::new(bytes, flate2::Compression::default())
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

/// mkfs.btrfs compresses only since 6.13, so a plain extent is made a compressed one here. Its checksum isn't looked at.
#[test_case(1, zlib; "zlib")]
#[test_case(3, |bytes| compress_to_vec(bytes, CompressionLevel::Fastest); "zstd")]
fn btrfs_is_unpacked(number: u8, compress: fn(&[u8]) -> Vec<u8>) {
    const SIZE: usize = 1 << 17;
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let lines: String = (0_u32..).map(|line| format!("line {line}\n")).take(20_000).collect();
    let bytes = &lines.as_bytes()[..SIZE];
    std::fs::write(tree.join("file"), bytes).unwrap();
    let Some(path) = make::image("mkfs.btrfs", &tree, scratch.path()) else { return };
    let mut image = std::fs::read(path).unwrap();

    let data =
        (0..image.len()).step_by(4096).find(|at| image[*at..].starts_with(&bytes[..4096])).unwrap();
    let packed = compress(bytes);
    let stored = packed.len().next_multiple_of(4096);
    image[data..data + SIZE].fill(0);
    image[data..data + packed.len()].copy_from_slice(&packed);
    // Size, no compression, regular; then place, size on the device, offset and size of the extent.
    let size = (SIZE as u64).to_le_bytes();
    let head = [&size[..], &[0, 0, 0, 0, 1]].concat();
    let matches =
        |item: &[u8]| item.starts_with(&head) && item[21..29] == size && item[37..45] == size;
    let mut items = Vec::new();
    for (node, bytes) in image
        .chunks(1 << 14)
        .enumerate()
        .filter(|(_, node)| node[0..4096].iter().any(|byte| *byte != 0))
    {
        let places = bytes.windows(45).enumerate().filter(|(_, item)| matches(item));
        items.extend(places.map(|(at, _)| (node << 14) + at));
    }
    assert!(!items.is_empty());
    for at in items {
        image[at + 8] = number;
        image[at + 21..at + 29].copy_from_slice(&(stored as u64).to_le_bytes());
    }

    let filesystem = FileSystem::open(Source::from_bytes(image)).unwrap();
    let inode = filesystem.find("file").unwrap().unwrap();
    let mut read = Vec::new();
    filesystem.contents(&inode).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == bytes);
}
