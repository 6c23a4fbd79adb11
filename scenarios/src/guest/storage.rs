//! Mounts, the kernel command line, and `/usr` slots.

use std::{fmt, time::Duration};

use wheeltap_platforms::{Class, poll_until, ssh::quote};

use super::Guest;
use crate::{
    failure::{Failure, Result},
    profile::{Slot, Slots},
};

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

/// What the boot loader knows about a slot: the GPT attribute bits 48 to 56.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotBits {
    /// The slot with the highest is tried first; 0 is never tried.
    pub priority: u8,
    /// How often it is still tried before it has booted well.
    pub tries: u8,
    /// Whether it has.
    pub successful: bool,
}

/// `priority 2, tries 1` or `priority 1, tries 0, good`, as `cgpt show` has it.
impl fmt::Display for SlotBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, tries, successful } = self;
        write!(f, "priority {priority}, tries {tries}{}", if *successful { ", good" } else { "" })
    }
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

    /// The slot that runs: its device, and what the profile says about it.
    ///
    /// # Errors
    /// If it is none of the profile's slots.
    pub async fn active_slot(&self) -> Result<(String, Slot)> {
        let slots = self.slots()?;
        let device = self.run(&slots.active).await?.trim().to_owned();
        if !device.starts_with("/dev/") {
            let headline = format!("{} printed {device:?}, which is no device", slots.active);
            return Err(Failure::check(headline));
        }
        let uuid = self.part_uuid(&device).await?;
        let slot = slots.by_partuuid(&uuid).ok_or_else(|| {
            Failure::check(format!("{device} with PARTUUID {uuid} is none of the image's slots"))
        })?;
        Ok((device, slot.clone()))
    }

    /// What the boot loader knows about a slot.
    pub async fn slot_bits(&self, slot: &Slot) -> Result<SlotBits> {
        let tool = &self.slots()?.attributes;
        let (number, device) =
            (slot.number, quote(&format!("/dev/disk/by-partuuid/{}", slot.partuuid)));
        let command = format!(
            "d=/dev/$(lsblk --noheadings --nodeps --output PKNAME {device}); \
             for bit in -P -T -S; do {tool} show -i {number} $bit $d; done"
        );
        let printed = self.sudo(&command).await?;
        parse_bits(&printed).ok_or_else(|| {
            Failure::check(format!("{tool} printed something unexpected: {printed}"))
        })
    }

    /// Waits until a slot is marked good, which the image does by itself some time after the boot, and gives its bits.
    pub async fn wait_until_good(&self, slot: &Slot) -> Result<SlotBits> {
        let what = format!("slot {} to be marked good", slot.label);
        // 45 s on real images, by the guest's clock.
        let limit = Duration::from_secs(90);
        let bits = poll_until(&what, limit, self.limits().poll(), self.interrupt(), async || {
            match self.slot_bits(slot).await {
                Ok(bits) if bits.successful => Ok(bits),
                Ok(bits) => Err(format!("it has {bits}")),
                Err(failure) => Err(failure.headline),
            }
        })
        .await?;
        Ok(bits)
    }

    fn slots(&self) -> Result<&Slots> {
        self.live.profile().slots.as_ref().ok_or_else(|| {
            Failure::new(Class::Test, "no-slots", "the scenario uses slots without needing them")
        })
    }

    /// The PARTUUID of a partition, in lower case.
    pub async fn part_uuid(&self, device: &str) -> Result<String> {
        let command = format!("blkid -s PART_ENTRY_UUID -o value -p {}", quote(device));
        Ok(self.sudo(&command).await?.trim().to_lowercase())
    }
}

fn parse_bits(printed: &str) -> Option<SlotBits> {
    let numbers: Vec<u8> =
        printed.lines().map(|line| line.trim().parse().ok()).collect::<Option<_>>()?;
    let [priority, tries, successful] = numbers.as_slice() else { return None };
    Some(SlotBits { priority: *priority, tries: *tries, successful: *successful == 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits() {
        let bits = parse_bits("2\n0\n1\n").unwrap();
        assert_eq!(bits, SlotBits { priority: 2, tries: 0, successful: true });
        assert_eq!(parse_bits("2\n0\n"), None);
        assert_eq!(parse_bits("Usage: cgpt\n"), None);
    }

    #[test]
    fn the_last_value_counts() {
        let line = CommandLine("quiet verity.usr=PARTUUID=a verity.usr=PARTUUID=b panic=1".into());
        assert_eq!(line.value("verity.usr"), Some("PARTUUID=b"));
        assert_eq!(line.value("quiet"), None);
        assert_eq!(line.value("root"), None);
    }
}
