//! An inventory of a disk that was made here: labels, mounts, an extension, and what is no image.
#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use wheeltap_image_diff::image::{InventoryError, inventory};
use wheeltap_image_diff::{Component, FileKey, Inventory};

/// Runs a tool; `false`, with a word about it, where there is none.
fn run(tool: &str, args: &[&str], paths: &[&Path]) -> bool {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    match Command::new(tool).args(args).args(paths).env("PATH", path).output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: there is no {tool}; see ci/packages");
            false
        }
        Err(error) => panic!("{tool}: {error}"),
    }
}

fn read(image: &Path) -> Result<Inventory, InventoryError> {
    inventory(image, "it", &AtomicBool::new(false), &mut |_| {})
}

/// A disk with USR-A and ROOT, and with an extension in /usr.
fn disk(scratch: &Path) -> Option<std::path::PathBuf> {
    let write = |path: &str, text: &str| {
        let path = scratch.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("ext/usr/bin/tool", "tool");
    write("ext/usr/lib/extension-release.d/extension-release.tool", "ID=x\n");
    write("usr/lib/os-release", "VERSION=1.2.3\nFLATCAR_BOARD=amd64-usr\n");
    write("usr/lib/systemd/system/a.socket", "[Socket]\nListenStream=22\n");
    write("usr/boot/config-6", "CONFIG_A=m\n");
    write("usr/share/baselayout/passwd", "core:x:500:500::/home/core:/bin/bash\n");
    write("usr/share/sysext/bad.raw", "no image");
    write("root/etc/hostname", "x");
    write("root/usr/hidden", "x");
    write("root/var/db/pkg/sys-apps/systemd-255-r1/CONTENTS", "");
    let wants = scratch.join("usr/lib/systemd/system/sockets.target.wants");
    fs::create_dir(&wants).unwrap();
    symlink("../a.socket", wants.join("a.socket")).unwrap();
    let (extension, usr, root) =
        (scratch.join("usr/share/sysext/tool.raw"), scratch.join("u.img"), scratch.join("r.img"));
    File::create(&root).unwrap().set_len(8 << 20).unwrap();
    let image = scratch.join("disk");
    File::create(&image).unwrap().set_len(32 << 20).unwrap();
    let made = run("mksquashfs", &[], &[&scratch.join("ext"), &extension])
        && run("mkfs.erofs", &["-zlz4hc"], &[&usr, &scratch.join("usr")])
        && run("mkfs.ext4", &["-q", "-F", "-d"], &[&scratch.join("root"), &root])
        && run(
            "sgdisk",
            &["-n1:2048:18431", "-c1:USR-A", "-n2:18432:34815", "-c2:ROOT"],
            &[&image],
        );
    if !made {
        return None;
    }
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&fs::read(usr).unwrap(), 1 << 20).unwrap();
    file.write_all_at(&fs::read(root).unwrap(), 9 << 20).unwrap();
    Some(image)
}

#[test]
fn a_disk_is_read_with_its_mounts_and_extensions() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(image) = disk(scratch.path()) else { return };
    let found = read(&image).unwrap();
    assert_eq!(found.version.as_deref(), Some("1.2.3"));
    assert_eq!(found.board.as_deref(), Some("amd64-usr"));
    assert_eq!(found.kernel_config.unwrap()["CONFIG_A"], "m");
    assert_eq!(found.users.unwrap()["core"].uid, 500);
    let listener = found.listeners.unwrap().pop_first().unwrap();
    assert_eq!(
        (&*listener.unit, &*listener.protocol, &*listener.address),
        ("a.socket", "tcp", "22")
    );
    let (package, versions) = found.packages.unwrap().pop_first().unwrap();
    assert_eq!((&*package.1, versions), ("sys-apps/systemd", ["255-r1".to_owned()].into()));
    let partition = &found.partitions.unwrap()["USR-A"];
    assert_eq!((partition.size, partition.filesystem.as_deref()), (8 << 20, Some("erofs")));

    let files = found.files.unwrap();
    let entry =
        |component: Component, path: &str| files.get(&FileKey { component, path: path.to_owned() });
    let x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    assert_eq!(entry(Component::Base, "/etc/hostname").unwrap().digest.as_deref(), Some(x));
    assert!(entry(Component::Base, "/usr/lib/os-release").is_some());
    assert!(entry(Component::Base, "/usr/hidden").is_none());
    let tool = entry(Component::Sysext("tool".to_owned()), "/usr/bin/tool").unwrap();
    assert_eq!(tool.size, Some(4));
    let unread: Vec<_> = found.unread.iter().map(|unread| &*unread.what).collect();
    assert_eq!(unread, ["/usr/share/sysext/bad.raw"]);
}

#[test]
fn what_is_damaged_or_cancelled_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(image) = disk(scratch.path()) else { return };
    let cancelled = inventory(&image, "it", &AtomicBool::new(true), &mut |_| {});
    assert!(matches!(cancelled, Err(InventoryError::Cancelled)));
    // A disk without a system: the mark of erofs is gone.
    File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .write_all_at(&[0; 4], (1 << 20) + 1024)
        .unwrap();
    assert!(matches!(read(&image), Err(InventoryError::NoSystem { .. })));
    File::options().write(true).open(&image).unwrap().set_len(12 << 20).unwrap();
    let error = read(&image).unwrap_err().to_string();
    assert!(error.contains("ends before the end of its partition \"ROOT\""), "{error}");
    let error = read(scratch.path()).unwrap_err().to_string();
    assert!(error.ends_with("is a directory: name the image file in it"), "{error}");
}
