use std::fs;
use std::path::Path;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{ListingError, inventory, lines};
use crate::{Component, FileKey, Origin};

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const CONTENTS: &str = "\
drwxr-xr-x 12 root    root       4096 2024-09-12 03:20 ./
-rw-r--r--  1 root    root   61000000 2024-09-12 03:20 ./boot/flatcar/vmlinuz-a
-rwsr-xr-x  1 root    root      51280 2024-09-12 03:20 ./usr/bin/su
lrwxrwxrwx  1 root    root         16 2024-09-12 03:20 ./usr/lib/systemd/system/sockets.target.wants/docker.socket -> ../docker.socket
";

#[test]
fn a_release_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let image = |name: &str| format!("flatcar_production_image_{name}.txt");
    write(dir.path(), &image("packages"), "sys-apps/systemd-255.8::coreos-overlay\n");
    write(dir.path(), &image("contents"), CONTENTS);
    // Not read, since the other says more.
    write(dir.path(), &image("contents_wtd"), "nonsense\n");
    write(dir.path(), &image("initrd_contents_wtd"), "-rwxr-xr-x 1 2 1 7 ./init\n");
    write(dir.path(), &image("realinitrd_contents"), CONTENTS);
    write(
        dir.path(),
        &image("kernel_config"),
        "#\n# Linux/x86 6.6.50-flatcar Kernel Configuration\n#\nCONFIG_EXT4_FS=y\n# CONFIG_X is not set\n",
    );
    write(
        dir.path(),
        &image("disk_usage"),
        "File    Size  Used Avail Use% Type\n/boot   127M   62M   65M  50% vfat\nSUM 1G 1M 1M 1% -\n",
    );
    write(
        dir.path(),
        "rootfs-included-sysexts/docker-flatcar_packages.txt",
        "app-containers/docker-27.2.1::x\n",
    );
    write(
        dir.path(),
        "rootfs-included-sysexts/docker-flatcar_contents_wtd.txt",
        "drwxr-xr-x 1 2 2 27 ./\n",
    );
    write(dir.path(), "oem-azure_packages.txt", "app-emulation/wa-linux-agent-2.9::x\n");
    write(dir.path(), "flatcar_developer_container_packages.txt", "nonsense\n");
    write(dir.path(), "version.txt", "FLATCAR_BUILD=4081\nFLATCAR_VERSION=4081.2.0\n");

    let inventory = inventory(dir.path(), "4081.2.0").unwrap();
    assert_eq!(inventory.origin, Origin::Listings);
    assert_eq!(inventory.version.as_deref(), Some("4081.2.0"));
    assert_eq!(inventory.board.as_deref(), Some("amd64-usr"));
    assert_eq!(inventory.unread, []);
    let packages: Vec<_> = inventory.packages.as_ref().unwrap().keys().collect();
    assert_eq!(
        packages,
        [
            &(Component::Base, "sys-apps/systemd".into()),
            &(Component::Sysext("docker-flatcar".into()), "app-containers/docker".into()),
            &(Component::Sysext("oem-azure".into()), "app-emulation/wa-linux-agent".into()),
        ]
    );
    let files = inventory.files.as_ref().unwrap();
    let entry = |component, path: &str| &files[&FileKey { component, path: path.into() }];
    assert_eq!(entry(Component::Base, "/usr/bin/su").mode, 0o4755);
    assert_eq!(entry(Component::Initrd, "/init").size, Some(7));
    assert_eq!(entry(Component::FullInitrd, "/usr/bin/su").size, Some(51280));
    assert_eq!(inventory.partitions.as_ref().unwrap()["EFI-SYSTEM"].used, Some(62 << 20));
    assert_eq!(inventory.kernel_config.as_ref().unwrap()["CONFIG_EXT4_FS"], "y");
    let units: Vec<_> = inventory.listeners.iter().flatten().map(|one| &*one.unit).collect();
    assert_eq!(units, ["docker.socket"]);
}

#[test]
fn what_is_not_there_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "flatcar_production_image_packages.txt", "sys-apps/systemd-255.8::x\n");
    let inventory = inventory(dir.path(), "x").unwrap();
    assert_eq!((inventory.files, inventory.users, inventory.listeners), (None, None, None));
    assert_eq!(
        (inventory.partitions, inventory.kernel_config, inventory.board),
        (None, None, None)
    );
}

#[test]
fn an_empty_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = inventory(dir.path(), "x").unwrap_err();
    assert!(matches!(error, ListingError::NoListings { .. }));
    assert!(error.to_string().contains("holds no listings of a release"), "{error}");
    assert!(!error.is_io());
}

#[test]
fn a_directory_in_the_place_of_a_listing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("flatcar_production_image_packages.txt")).unwrap();
    let error = inventory(dir.path(), "x").unwrap_err().to_string();
    assert!(error.contains("image_packages.txt is no regular file"), "{error}");
}

#[test]
fn a_few_bad_lines_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let mut text: String = (0..200).map(|n| format!("a/b{n}c-1::x\n")).collect();
    text.push_str("\u{1b}[2J\u{7}\n\n");
    write(dir.path(), "flatcar_production_image_packages.txt", text);
    let inventory = inventory(dir.path(), "x").unwrap();
    assert_eq!(inventory.packages.unwrap().len(), 200);
    let why = &inventory.unread[0].why;
    assert_eq!(why, r"1 of 201 lines are not understood, the first: line 201: `\x1b[2J\x07`");
}

#[test]
fn many_bad_lines_are_an_error_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "flatcar_production_image_packages.txt", "a/b-1::x\n<html>\u{1b}\n");
    let error = inventory(dir.path(), "x").unwrap_err().to_string();
    let expected = r"image_packages.txt:2: this is no line of such a listing: `<html>\x1b` (1 of 2 lines are not understood)";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_line_without_an_end_takes_no_memory() {
    let text = vec![b'x'; 1 << 20];
    let mut longest = 0;
    let error = lines::read_from(Path::new("f"), &*text, |line| {
        longest = longest.max(line.len());
        Some(())
    });
    assert!(error.is_err());
    assert_eq!(longest, 0, "a line that is too long is not understood");
}

#[test]
fn lines_may_end_as_on_windows_or_not_at_all() {
    let mut seen = Vec::new();
    lines::read_from(Path::new("f"), &b"a\r\n\n  \nb"[..], |line| {
        seen.push(line.to_vec());
        Some(())
    })
    .unwrap();
    assert_eq!(seen, [b"a", b"b"]);
}

proptest! {
    #[test]
    fn any_listing_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["packages", "contents", "kernel_config", "disk_usage"] {
            write(dir.path(), &format!("flatcar_production_image_{name}.txt"), &bytes);
            let result = inventory(dir.path(), "x");
            if let Err(error) = result {
                prop_assert!(!error.to_string().chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn every_line_is_seen(texts in prop::collection::vec("[a-z]{1,10}", 0..50)) {
        let mut seen = Vec::new();
        let joined = texts.join("\n");
        // A small buffer, so that lines lie across its borders.
        let reader = std::io::BufReader::with_capacity(7, joined.as_bytes());
        lines::read_from(Path::new("f"), reader, |line| {
            seen.push(String::from_utf8(line.to_vec()).unwrap());
            Some(())
        }).unwrap();
        prop_assert_eq!(seen, texts);
    }
}
