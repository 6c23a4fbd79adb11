//! Embeds `reference/` and what goes into the image besides, so that an installed wheeltap builds the image without the
//! source tree and without cargo.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the update client is made of, below the workspace.
const CLIENT_SOURCES: [&str; 6] = [
    "Cargo.lock",
    "Cargo.toml",
    "formats/Cargo.toml",
    "formats/src",
    "images/update-client/Cargo.toml",
    "images/update-client/src",
];

fn main() -> io::Result<()> {
    let root = directory("CARGO_MANIFEST_DIR");
    let recipe = root.join("reference");
    // A directory is watched with everything below it.
    println!("cargo::rerun-if-changed={}", recipe.display());

    let mut paths = Vec::new();
    collect(&recipe, &mut paths)?;
    let mut files: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let name =
                path.strip_prefix(&recipe).expect("collected below it").display().to_string();
            (name, path)
        })
        .collect();
    files.push(("update-payload-key.pub.pem".into(), root.join("keys/development.pub.pem")));
    files.push(client(&root)?);
    files.sort();

    let mut code = String::from("&[\n");
    for (name, path) in &files {
        let path = path.display().to_string();
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").expect("writing to a string");
    }
    code.push_str("]\n");
    fs::write(directory("OUT_DIR").join("recipe.rs"), code)
}

/// The update client as a file of the recipe, or a file that says why there is none: wheeltap is of use without it.
fn client(root: &Path) -> io::Result<(String, PathBuf)> {
    match build_client(root) {
        Ok(path) => Ok(("update_engine".into(), path)),
        Err(why) => {
            println!(
                "cargo::warning=wheeltap will not be able to build the reference image: {why}"
            );
            let path = directory("OUT_DIR").join("update_engine.missing");
            fs::write(&path, why)?;
            Ok(("update_engine.missing".into(), path))
        }
    }
}

/// Builds the update client with a cargo of its own. It is linked statically, because it runs on the C library of the
/// image and not on that of this host.
fn build_client(root: &Path) -> Result<PathBuf, String> {
    let workspace = root.parent().expect("the workspace has this crate");
    for source in CLIENT_SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let target = variable("TARGET");
    if !target.starts_with("x86_64-unknown-linux-") {
        return Err(format!(
            "its update client would be built for {target}, and the image is x86-64"
        ));
    }
    let output = directory("OUT_DIR").join("update-client");
    let mut cargo = Command::new(variable("CARGO"));
    // What the outer cargo was told to do is not for this one: clippy, coverage, profiles, flags.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let outer = [
            "CARGO_BUILD_",
            "CARGO_CFG_",
            "CARGO_ENCODED_",
            "CARGO_FEATURE_",
            "CARGO_PKG_",
            "CARGO_PROFILE_",
        ];
        let single = ["CARGO_INCREMENTAL", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "RUSTFLAGS"];
        if outer.iter().any(|prefix| name.starts_with(prefix)) || single.contains(&&*name) {
            cargo.env_remove(&*name);
        }
    }
    // No path of this host gets into the program, so that everybody has the same bytes.
    let home = cargo_home();
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    for (from, to) in [(&*home, "/cargo"), (workspace, "/wheeltap"), (&*output, "/target")] {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    let built = cargo
        .current_dir(workspace)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile=guest",
            "--package=wheeltap-update-client",
        ])
        .args(["--target", &target, "--target-dir"])
        .arg(&output)
        .output()
        .map_err(|error| format!("cargo cannot be run for its update client: {error}"))?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        let fix = if said.contains("linking with") {
            "a static program cannot be linked here; install libc6-dev, which has libc.a"
        } else {
            "see the errors below"
        };
        return Err(format!("its update client cannot be built: {fix}\n{}", said.trim()));
    }
    Ok(output.join(target).join("guest/update_engine"))
}

fn cargo_home() -> PathBuf {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default()
}

fn directory(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(name).expect("cargo sets it"))
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it")
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
