//! The real GnuPG, with keys of its own and whatever time a test wants.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A home of GnuPG that is gone after the test, with its agent.
pub(super) struct Gpg {
    home: TempDir,
}

impl Gpg {
    /// Says why a test is skipped where there is no GnuPG.
    pub(super) fn new() -> Option<Self> {
        let there = Command::new("gpg").arg("--version").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            println!("skipped: there is no gpg; apt-get install gnupg");
            return None;
        }
        // The path of the agent's socket in it has to be short.
        let home = tempfile::Builder::new().prefix("wg").tempdir_in("/tmp").unwrap();
        Some(Self { home })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs GnuPG at a time such as `20200101T000000`, and gives what it prints.
    pub(super) fn run(&self, time: &str, arguments: &[&str]) -> Vec<u8> {
        let out = Command::new("gpg")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--batch", "--yes", "--quiet", "--no-tty", "--faked-system-time"])
            // Without the mark the clock would go on from there, and two keys could differ in it.
            .arg(format!("{time}!"))
            .args(["--pinentry-mode", "loopback", "--passphrase", ""])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "gpg {arguments:?}: {said}");
        out.stdout
    }

    /// Makes a key, and gives its fingerprint.
    pub(super) fn key(
        &self,
        time: &str,
        name: &str,
        kind: &str,
        usage: &str,
        ends: &str,
    ) -> String {
        self.run(time, &["--quick-generate-key", name, kind, usage, ends]);
        self.fingerprints(name).remove(0)
    }

    /// Adds a subkey, and gives its fingerprint.
    pub(super) fn subkey(
        &self,
        time: &str,
        key: &str,
        kind: &str,
        usage: &str,
        ends: &str,
    ) -> String {
        let before = self.fingerprints(key);
        self.run(time, &["--quick-add-key", key, kind, usage, ends]);
        let after = self.fingerprints(key);
        after.into_iter().find(|print| !before.contains(print)).unwrap()
    }

    fn fingerprints(&self, key: &str) -> Vec<String> {
        let out = self.run("20200101T000000", &["--with-colons", "--list-keys", key]);
        let lines = String::from_utf8(out).unwrap();
        let prints = lines.lines().filter_map(|line| line.strip_prefix("fpr:"));
        prints.map(|fields| fields.trim_matches(':').to_owned()).collect()
    }

    pub(super) fn export(&self, key: &str) -> Vec<u8> {
        self.run("20200101T000000", &["--export", key])
    }

    /// Signs data with exactly that key or subkey.
    pub(super) fn sign(&self, time: &str, key: &str, data: &[u8], more: &[&str]) -> Vec<u8> {
        let file = self.path("data");
        fs::write(&file, data).unwrap();
        let by = format!("{key}!");
        let mut arguments = vec!["--local-user", &by, "--output", "-"];
        arguments.extend(more);
        if !more.contains(&"--clear-sign") {
            arguments.push("--detach-sign");
        }
        arguments.push(file.to_str().unwrap());
        self.run(time, &arguments)
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut gpgconf = Command::new("gpgconf");
        let _ = gpgconf.arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).status();
    }
}
