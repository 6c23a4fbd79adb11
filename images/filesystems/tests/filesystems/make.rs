//! Images, made by the tools that everybody makes them with.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes an image of a directory; `None`, with a word about it, where the host has no such tool.
pub(crate) fn image(name: &str, tree: &Path, scratch: &Path) -> Option<PathBuf> {
    let image = scratch.join(format!("{}.img", name.replace(' ', "_")));
    let (tool, options) = name.split_once(' ').unwrap_or((name, ""));
    let mut command = Command::new(tool);
    let options = options.split_whitespace();
    match tool {
        "mksquashfs" => command.arg(tree).arg(&image).args(["-noappend", "-quiet"]).args(options),
        "mkfs.erofs" => command.args(options).args([&image, tree]),
        "mkfs.btrfs" => {
            File::create(&image).unwrap().set_len(200 << 20).unwrap();
            command.args(options).args(["-q", "--rootdir"]).args([tree, &image])
        }
        "mkfs.vfat" => {
            File::create(&image).unwrap().set_len(40 << 20).unwrap();
            command.args(options).arg(&image)
        }
        _ => {
            let size =
                if options.clone().any(|option| option == "1024") { 20 << 20 } else { 60 << 20 };
            File::create(&image).unwrap().set_len(size).unwrap();
            command.args(["-q", "-F", "-d"]).arg(tree).args(options).arg(&image)
        }
    };
    run(command)?;
    if tool == "mkfs.vfat" {
        let mut copy = Command::new("mcopy");
        copy.arg("-i")
            .arg(&image)
            .args(["-s", "-Q"])
            .args(std::fs::read_dir(tree).unwrap().map(|entry| entry.unwrap().path()));
        copy.arg("::").env("LC_ALL", "C.UTF-8");
        run(copy)?;
    }
    Some(image)
}

/// Runs a tool to its good end; `None` where there is none.
pub(crate) fn run(mut command: Command) -> Option<()> {
    // What only root needs is not in everybody's path.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    match command.stdin(Stdio::null()).output() {
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?}: {words}");
            Some(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: there is no {:?}; see ci/packages", command.get_program());
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}
