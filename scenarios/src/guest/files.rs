//! Files and users.

use wheeltap_platforms::ssh::quote;

use super::Guest;
use crate::failure::{Failure, Result};

/// What `stat` says about a file; symbolic links are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// `regular file`, `directory`, `symbolic link`.
    pub kind: String,
    /// Permission bits, such as 0o644.
    pub mode: u32,
    /// Owner's name.
    pub owner: String,
    /// Group's name.
    pub group: String,
    /// Size in bytes.
    pub size: u64,
}

/// A line of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Numeric id.
    pub uid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Names of all groups.
    pub groups: Vec<String>,
}

impl Guest {
    /// What `stat` says about `path`, or `None` if nothing is there.
    pub async fn stat(&self, path: &str) -> Result<Option<FileFacts>> {
        // %F kind, %a octal permissions, %U owner, %G group, %s size; the tab can't be in any of them.
        let format = quote("%F\t%a\t%U\t%G\t%s");
        let output = self.try_run(&format!("sudo stat --printf={format} {}", quote(path))).await?;
        if !output.success() {
            let error = output.error_text();
            if error.contains("No such file or directory") {
                return Ok(None);
            }
            return Err(Failure::check(format!("{path} can't be looked at: {error}")));
        }
        let text = output.text();
        parse_facts(&text).map(Some).ok_or_else(|| {
            Failure::check(format!("stat printed something unexpected for {path}: {text}"))
        })
    }

    /// The SHA-256 digest of a file's content, in hexadecimal.
    pub async fn sha256(&self, path: &str) -> Result<String> {
        let line = self.sudo(&format!("sha256sum {}", quote(path))).await?;
        Ok(line.split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// Where a symbolic link points.
    pub async fn read_link(&self, path: &str) -> Result<String> {
        Ok(self.sudo(&format!("readlink {}", quote(path))).await?.trim_end().to_owned())
    }

    /// The user of that name, or `None`.
    pub async fn user(&self, name: &str) -> Result<Option<User>> {
        let name = quote(name);
        let output = self.try_run(&format!("getent passwd {name} && id -nG {name}")).await?;
        if !output.success() {
            return Ok(None);
        }
        let text = output.text();
        parse_user(&text)
            .map(Some)
            .ok_or_else(|| Failure::check(format!("getent printed something unexpected: {text}")))
    }
}

fn parse_facts(text: &str) -> Option<FileFacts> {
    let columns: Vec<&str> = text.split('\t').collect();
    let [kind, mode, owner, group, size] = columns.as_slice() else { return None };
    // stat calls a file without content a "regular empty file".
    let kind = if *kind == "regular empty file" { "regular file" } else { kind };
    Some(FileFacts {
        kind: kind.to_owned(),
        mode: u32::from_str_radix(mode, 8).ok()?,
        owner: (*owner).to_owned(),
        group: (*group).to_owned(),
        size: size.trim().parse().ok()?,
    })
}

fn parse_user(text: &str) -> Option<User> {
    let (entry, groups) = text.split_once('\n')?;
    let columns: Vec<&str> = entry.split(':').collect();
    let [_, _, uid, _, _, home, shell] = columns.as_slice() else { return None };
    Some(User {
        uid: uid.parse().ok()?,
        home: (*home).to_owned(),
        shell: (*shell).to_owned(),
        groups: groups.split_whitespace().map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_an_empty_file() {
        let facts = parse_facts("regular empty file\t4755\troot\twheel\t0").unwrap();
        assert_eq!((facts.kind.as_str(), facts.mode), ("regular file", 0o4755));
        assert_eq!(parse_facts("nonsense"), None);
    }

    #[test]
    fn a_user_with_groups() {
        let user = parse_user("core:x:500:500:Admin:/home/core:/bin/bash\ncore wheel sudo\n");
        let user = user.unwrap();
        assert_eq!((user.uid, user.home.as_str()), (500, "/home/core"));
        assert_eq!(user.groups, ["core", "wheel", "sudo"]);
        assert_eq!(parse_user("core:x\n"), None);
    }
}
