//! What was put in is what is read.

use std::fs::File;

use test_case::test_case;
use wheeltap_filesystems::{FileSystem, Source};

use crate::make;
use crate::sample::{Lacks, fill, of_host, of_image};

const ALL: Lacks = Lacks { unix: false, hard_links: false };

#[test_case("mkfs.ext4", "ext4", ALL)]
#[test_case("mkfs.ext4 -b 1024 -O ^64bit,^metadata_csum", "ext4", ALL; "ext4 with small blocks")]
#[test_case("mkfs.ext4 -I 256 -O inline_data", "ext4", ALL; "ext4 with small files in inodes")]
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
#[test_case("mkfs.btrfs", "btrfs", Lacks { unix: false, hard_links: true })]
#[test_case("mkfs.btrfs -m dup -n 65536", "btrfs", Lacks { unix: false, hard_links: true }; "btrfs with large nodes")]
#[test_case("mkfs.btrfs -M", "btrfs", Lacks { unix: false, hard_links: true }; "btrfs with mixed groups")]
#[test_case("mkfs.vfat -F 16", "vfat", Lacks { unix: true, hard_links: true }; "vfat 16")]
#[test_case("mkfs.vfat -F 32 -s 1", "vfat", Lacks { unix: true, hard_links: true }; "vfat 32")]
#[test_case("mkfs.vfat -F 12 -s 64", "vfat", Lacks { unix: true, hard_links: true }; "vfat 12")]
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
    assert!(expected.len() > 3050, "{}", expected.len());
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
