//! Files by the real tools, and damaged ones.

use std::fs;
use std::io::{self, Cursor, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};
use test_case::test_case;

use super::*;

const MIB: usize = 1 << 20;

/// A disk with something at its begin and in its middle, and nothing around it.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 3 * MIB + 1000];
    for (at, byte) in disk[MIB..MIB + 300_000].iter_mut().enumerate() {
        *byte = (at / 7 % 251 + 1) as u8;
    }
    disk[..5].copy_from_slice(b"begin");
    disk
}

fn unpacked(packed: &[u8]) -> Result<(Unpacked, Vec<u8>), UnpackError> {
    unpacked_up_to(packed, DEFAULT_LIMIT)
}

fn unpacked_up_to(packed: &[u8], limit: u64) -> Result<(Unpacked, Vec<u8>), UnpackError> {
    let file = NamedTempFile::new().unwrap();
    let mut from = packed;
    let found = unpack(&mut from, file.as_file(), limit, &AtomicBool::new(false), &mut |_, _| {})?;
    Ok((found, fs::read(file.path()).unwrap()))
}

/// Runs a tool as a filter; `None` where it isn't there.
fn filter(command: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let (mut file, mut out) = (NamedTempFile::new().unwrap(), Vec::new());
    file.write_all(input).unwrap();
    let child = Command::new(command[0])
        .args(&command[1..])
        .stdin(fs::File::open(file.path()).unwrap())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no {}", command[0]);
        return None;
    };
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    assert!(child.wait().unwrap().success(), "{command:?}");
    Some(out)
}

/// Packs files with Python, whose module is in each installation.
fn zip(files: &[(&str, &[u8])], method: &str, streamed: bool) -> Option<Vec<u8>> {
    let directory = TempDir::new().unwrap();
    let mut names = Vec::new();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
        } else {
            fs::write(&path, bytes).unwrap();
        }
        names.push(path.to_str().unwrap().to_owned());
    }
    let script = "import sys, zipfile\n\
        class Pipe:\n    \
            def write(self, b): return sys.stdout.buffer.write(b)\n    \
            def flush(self): sys.stdout.buffer.flush()\n\
        import io\nout = Pipe() if sys.argv[2] == 'True' else io.BytesIO()\n\
        z = zipfile.ZipFile(out, 'w', getattr(zipfile, sys.argv[1]))\n\
        [z.write(name, name.split('/', 3)[3]) for name in sys.argv[3:]]\n\
        z.close()\n\
        if sys.argv[2] != 'True': sys.stdout.buffer.write(out.getvalue())\n";
    let streamed = if streamed { "True" } else { "False" };
    let mut command = vec!["python3", "-c", script, method, streamed];
    command.extend(names.iter().map(String::as_str));
    filter(&command, b"")
}

#[test_case(&["bzip2"], Compression::Bzip2; "bzip2")]
#[test_case(&["gzip", "-1"], Compression::Gzip; "gzip")]
#[test_case(&["xz"], Compression::Xz; "xz")]
#[test_case(&["xz", "-T2", "--block-size=1MiB", "--check=sha256"], Compression::Xz; "xz with blocks")]
#[test_case(&["xz", "--check=none", "--x86", "--lzma2"], Compression::Xz; "xz with a filter")]
#[test_case(&["zstd"], Compression::Zstd; "zstd")]
#[test_case(&["zstd", "-19", "--no-check"], Compression::Zstd; "zstd slow")]
fn round_trips(command: &[&str], compression: Compression) {
    let disk = disk();
    let Some(packed) = filter(command, &disk) else { return };
    let (found, image) = unpacked(&packed).unwrap();
    assert!(image == disk);
    let digest = hex::encode(Sha256::digest(&disk));
    assert_eq!(found, Unpacked { compression, size: disk.len() as u64, digest });

    // Several streams are one file.
    let (found, image) = unpacked(&[&packed[..], &packed].concat()).unwrap();
    assert_eq!(found.size, 2 * disk.len() as u64);
    assert!(image == disk.repeat(2));

    let format = compression.name();
    for more in [&b"x"[..], b"<html>", &[0; 3]] {
        let error = unpacked(&[&packed[..], more].concat()).unwrap_err();
        assert!(matches!(&error, UnpackError::Trailing { .. }), "{more:?}: {error}");
    }
    for cut in [7, packed.len() / 2, packed.len() - 5, packed.len() - 1] {
        let error = unpacked(&packed[..cut]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the {format} file ends too early: part of it is missing; get it again"),
            "{cut} of {} bytes",
            packed.len()
        );
    }
    let error = unpacked_up_to(&packed, disk.len() as u64 - 1).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge { .. }), "{error}");
    unpacked_up_to(&packed, disk.len() as u64).unwrap();
    assert!(matches!(unpacked(&filter(command, b"").unwrap()), Err(UnpackError::Empty)));
}

#[test_case(&["bzip2"]; "bzip2")]
#[test_case(&["gzip"]; "gzip")]
#[test_case(&["xz"]; "xz")]
#[test_case(&["zstd"]; "zstd")]
fn damage(command: &[&str]) {
    let disk = disk();
    let Some(packed) = filter(command, &disk[MIB..MIB + 100_000]) else { return };
    for at in (packed.len() / 3..packed.len() - 12).step_by(packed.len() / 10 + 1) {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x55;
        let error = unpacked(&damaged).unwrap_err();
        let expected =
            matches!(&error, UnpackError::Corrupt { .. } | UnpackError::Truncated { .. });
        assert!(expected, "byte {at}: {error}");
    }
}

#[test]
fn checksums() {
    let disk = disk();
    // What comes last in them, but for lengths and marks.
    for (command, from_end) in [(&["gzip"][..], 8), (&["zstd"], 1), (&["bzip2"], 3)] {
        let Some(mut packed) = filter(command, &disk) else { continue };
        let at = packed.len() - from_end;
        packed[at] ^= 0x40;
        let error = unpacked(&packed).unwrap_err();
        assert!(matches!(&error, UnpackError::Corrupt { .. }), "{command:?}: {error}");
    }
}

#[test]
fn windows() {
    let disk = disk();
    if let Some(packed) = filter(&["zstd", "--ultra", "-22", "--long=27"], &disk) {
        assert!(unpacked(&packed).unwrap().1 == disk);
    }
    let large = [&["zstd", "--long=28"][..], &["xz", "--lzma2=dict=256MiB"]];
    for command in large {
        let Some(packed) = filter(command, &disk) else { continue };
        let error = unpacked(&packed).unwrap_err();
        assert!(matches!(&error, UnpackError::Window { .. }), "{command:?}: {error}");
    }
    if let Some(packed) = filter(&["xz", "-9"], &disk) {
        assert!(unpacked(&packed).unwrap().1 == disk);
    }
}

#[test]
fn padding_of_xz_and_frames_to_skip() {
    let disk = disk();
    if let Some(packed) = filter(&["xz"], &disk) {
        let padded = [&packed[..], &[0; 8], &packed, &[0; 4]].concat();
        assert!(unpacked(&padded).unwrap().1 == disk.repeat(2));
    }
    if let Some(packed) = filter(&["zstd"], &disk) {
        let skipped = [&[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], &packed[..]].concat();
        assert!(unpacked(&skipped).unwrap().1 == disk);
        let error = unpacked(&skipped[..10]).unwrap_err();
        assert!(matches!(error, UnpackError::Truncated { .. }), "{error}");
    }
}

#[test]
fn what_is_not_compressed() {
    let disk = disk();
    let (found, image) = unpacked(&disk).unwrap();
    assert!(image == disk);
    assert_eq!(found.compression, Compression::None);
    assert!(matches!(unpacked(b""), Err(UnpackError::Empty)));
    assert_eq!(unpacked(b"B").unwrap().1, b"B");
}

#[test]
fn holes() {
    let disk = [&disk()[..], &vec![0; 5 * MIB]].concat();
    let file = NamedTempFile::new().unwrap();
    // What was there before must not be seen through them.
    file.as_file().write_all(&vec![0xff; 9 * MIB]).unwrap();
    let mut heard = Vec::new();
    let go_on = AtomicBool::new(false);
    unpack(&mut &disk[..], file.as_file(), DEFAULT_LIMIT, &go_on, &mut |read, written| {
        heard.push((read, written));
    })
    .unwrap();
    assert!(fs::read(file.path()).unwrap() == disk);
    let blocks = file.as_file().metadata().unwrap().blocks() * 512;
    assert!(blocks < MIB as u64, "{blocks} bytes are on the disk");
    assert_eq!(heard.len(), 2);
    assert!(heard.is_sorted());
}

#[test_case("ZIP_DEFLATED", false; "deflated")]
#[test_case("ZIP_STORED", false; "stored")]
#[test_case("ZIP_DEFLATED", true; "streamed")]
fn zips(method: &str, streamed: bool) {
    let disk = disk();
    let Some(packed) = zip(&[("image.vhd", &disk)], method, streamed) else { return };
    let (found, image) = unpacked(&packed).unwrap();
    assert!(image == disk);
    assert_eq!(found.compression, Compression::Zip);
    let with_directory = zip(&[("a/", b""), ("a/image", &disk)], method, streamed).unwrap();
    assert!(unpacked(&with_directory).unwrap().1 == disk);
    let error = unpacked(&[&packed[..], b"x"].concat()).unwrap_err();
    assert!(matches!(error, UnpackError::Trailing { .. }), "{error}");
    for cut in [5, 20, 40, packed.len() / 2, packed.len() - 30, packed.len() - 1] {
        let error = unpacked(&packed[..cut]).unwrap_err();
        assert!(matches!(error, UnpackError::Truncated { .. }), "{cut}: {error}");
    }
    let mut damaged = packed.clone();
    damaged[packed.len() / 2] ^= 0x55;
    let error = unpacked(&damaged).unwrap_err();
    assert!(matches!(error, UnpackError::Corrupt { .. }), "{error}");
    let two = zip(&[("a.img", &disk), ("b.img", b"b")], method, streamed).unwrap();
    let nested = zip(&[("z.zip", &packed)], method, streamed).unwrap();
    for (archive, expected) in [(two, "several files"), (nested, "another compressed file")] {
        match unpacked(&archive) {
            Err(UnpackError::NotOneImage { what }) => assert_eq!(what, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn zips_without_an_image() {
    let Some(empty) = zip(&[], "ZIP_STORED", false) else { return };
    let error = unpacked(&empty).unwrap_err();
    insta::assert_snapshot!(error, @"the ZIP file holds no file, and exactly one disk image is needed; unpack the right one yourself");
    let error = unpacked(&zip(&[("a", b"abc")], "ZIP_LZMA", false).unwrap()).unwrap_err();
    insta::assert_snapshot!(error, @"the ZIP file can't be unpacked: it is compressed in a way other than deflate; unpack it yourself");
    let mut encrypted = zip(&[("a", b"abc")], "ZIP_STORED", false).unwrap();
    encrypted[6] |= 1;
    let error = unpacked(&encrypted).unwrap_err();
    insta::assert_snapshot!(error, @"the ZIP file can't be unpacked: it is encrypted; unpack it yourself");
}

/// Some bytes of zeros are endless.
#[test]
fn bombs_and_cancelling() {
    let zeros = vec![0; 64 * MIB];
    let mut packer = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::best());
    packer.write_all(&zeros).unwrap();
    let packed = packer.finish().unwrap();
    let error = unpacked_up_to(&packed, 1 << 20).unwrap_err();
    insta::assert_snapshot!(error, @"the image is larger than 0.0009765625 GiB when decompressed; if it is meant to be, decompress it yourself");
    let cancel = AtomicBool::new(false);
    let file = NamedTempFile::new().unwrap();
    let mut heard = 0;
    let error = unpack(&mut &packed[..], file.as_file(), DEFAULT_LIMIT, &cancel, &mut |_, _| {
        heard += 1;
        cancel.store(true, Ordering::Relaxed);
    });
    assert!(matches!(error, Err(UnpackError::Cancelled)), "{error:?}");
    assert_eq!(heard, 1);
}

#[test]
fn disks_that_fail() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let go_on = AtomicBool::new(false);
    let file = NamedTempFile::new().unwrap();
    for begin in [
        &b""[..],
        b"BZh91AY&SY",
        b"\x1f\x8b\x08\0",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd\x24",
        b"PK\x03\x04",
    ] {
        let mut from = Cursor::new(begin).chain(Broken);
        let error = unpack(&mut from, file.as_file(), 1 << 30, &go_on, &mut |_, _| {}).unwrap_err();
        let expected = "reading the file failed: Input/output error (os error 5)";
        assert_eq!(error.to_string(), expected, "{begin:?}");
    }
    let full = UnpackError::Write(io::Error::from_raw_os_error(28)).to_string();
    insta::assert_snapshot!(full, @"writing the image failed: No space left on device (os error 28); make room, or set WHEELTAP_CACHE to a directory elsewhere");
    let read_only = fs::File::open(file.path()).unwrap();
    let error = unpack(&mut &b"x"[..], &read_only, 1 << 30, &go_on, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, UnpackError::Write(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(kind in 0..6usize, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let begin = [&b""[..], b"BZh91AY&SY", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"];
        let all = [begin[kind], &bytes].concat();
        if let Ok((found, image)) = unpacked_up_to(&all, 1 << 20) {
            prop_assert_eq!(found.size, image.len() as u64);
        }
    }

    #[test]
    fn arbitrary_disks(pieces in prop::collection::vec((any::<u8>(), 0..20_000usize), 0..20)) {
        let disk: Vec<u8> = pieces.iter().flat_map(|(byte, length)| {
            std::iter::repeat_n(if byte % 2 == 0 { 0 } else { *byte }, *length)
        }).collect();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&disk).unwrap();
        match unpacked(&packer.finish().unwrap()) {
            Ok((_, image)) => prop_assert!(image == disk),
            Err(error) => prop_assert!(disk.is_empty(), "{}", error),
        }
    }
}
