//! Mounts, the kernel command line, and `/usr` slots.

use wheeltap_platforms::ssh::quote;

use super::Guest;
use crate::failure::{Failure, Result};

/// What `findmnt` says about a mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The device or file system behind it.
    pub source: String,
    /// File system type.
    pub fstype: String,
    /// Mount options.
    pub options: Vec<String>,
}

/// The kernel command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(String);

impl CommandLine {
    /// The value of the last `key=value`, which is the one that counts.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .next_back()
    }
}

impl Guest {
    /// The topmost mount at `target`, or `None` if nothing is mounted there.
    pub async fn mount(&self, target: &str) -> Result<Option<Mount>> {
        let target = quote(target);
        let command = format!(
            "findmnt --noheadings --raw --output SOURCE,FSTYPE,OPTIONS {target} | tail -n 1"
        );
        let line = self.run(&command).await?;
        let columns: Vec<&str> = line.split_whitespace().collect();
        Ok(match columns.as_slice() {
            [source, fstype, options] => Some(Mount {
                source: (*source).to_owned(),
                fstype: (*fstype).to_owned(),
                options: options.split(',').map(str::to_owned).collect(),
            }),
            _ => None,
        })
    }

    /// The kernel command line.
    pub async fn kernel_command_line(&self) -> Result<CommandLine> {
        Ok(CommandLine(self.run("cat /proc/cmdline").await?))
    }

    /// The partition that `/usr` runs from, as `rootdev -s /usr` prints it: `/dev/vda3`.
    pub async fn usr_partition(&self) -> Result<String> {
        let device = self.run("rootdev -s /usr").await?.trim().to_owned();
        if device.starts_with("/dev/") {
            return Ok(device);
        }
        Err(Failure::check(format!("rootdev -s /usr printed {device:?}, which is no device")))
    }

    /// The PARTUUID of a partition, in lower case.
    pub async fn part_uuid(&self, device: &str) -> Result<String> {
        let command = format!("blkid -s PART_ENTRY_UUID -o value -p {}", quote(device));
        Ok(self.sudo(&command).await?.trim().to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts() {
        let line = CommandLine("quiet verity.usr=PARTUUID=a verity.usr=PARTUUID=b panic=1".into());
        assert_eq!(line.value("verity.usr"), Some("PARTUUID=b"));
        assert_eq!(line.value("quiet"), None);
        assert_eq!(line.value("root"), None);
    }
}
