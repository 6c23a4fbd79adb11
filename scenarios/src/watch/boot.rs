//! Counting boots by what the console says.

use serde::Deserialize;

/// What a line says about where in a boot the machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Marker {
    /// The kernel is about to reset the machine.
    End,
    /// The running kernel is about to start another one, within the same boot.
    Kexec,
    /// The firmware speaks.
    Firmware,
    /// The boot loader speaks.
    Loader,
    /// The banner of a kernel.
    Kernel,
}

/// The patterns of all markers, as in the rules file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkerPatterns {
    end: Vec<String>,
    kexec: Vec<String>,
    firmware: Vec<String>,
    loader: Vec<String>,
    kernel: Vec<String>,
}

impl MarkerPatterns {
    /// Each pattern with what it stands for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Marker, &str)> {
        [
            (Marker::End, &self.end),
            (Marker::Kexec, &self.kexec),
            (Marker::Firmware, &self.firmware),
            (Marker::Loader, &self.loader),
            (Marker::Kernel, &self.kernel),
        ]
        .into_iter()
        .flat_map(|(marker, patterns)| patterns.iter().map(move |pattern| (marker, &**pattern)))
    }
}

/// Counts boots, from 1.
#[derive(Debug)]
pub(super) struct BootCounter {
    boot: u32,
    /// How far the current boot has come: firmware, loader or kernel.
    reached: Option<Marker>,
    ended: bool,
}

impl Default for BootCounter {
    fn default() -> Self {
        Self { boot: 1, reached: None, ended: false }
    }
}

impl BootCounter {
    /// The number of the current boot.
    pub(super) fn boot(&self) -> u32 {
        self.boot
    }

    /// A new boot has begun.
    pub(super) fn begin(&mut self) {
        *self = Self { boot: self.boot + 1, reached: None, ended: false };
    }

    /// Takes in a line that is not empty.
    pub(super) fn see(&mut self, marker: Option<Marker>) {
        match marker {
            Some(Marker::End) => {
                self.ended = true;
                return;
            }
            // The next kernel continues this boot.
            Some(Marker::Kexec) => {
                self.reached = None;
                return;
            }
            _ => {}
        }
        if self.ended {
            self.begin();
        }
        match (self.reached, marker) {
            // The firmware repeats itself before it hands over; boot loaders and kernels say their banner once.
            (Some(reached), Some(now))
                if now < reached || (now == reached && now == Marker::Kernel) =>
            {
                self.begin();
                self.reached = Some(now);
            }
            (_, Some(now)) => self.reached = Some(now),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Marker::*, *};

    #[test_case(&[Some(Firmware), Some(Firmware), Some(Loader), Some(Kernel), None], 1 ; "one boot")]
    #[test_case(&[Some(Kernel), None, Some(Kernel)], 2 ; "a kernel again")]
    #[test_case(&[Some(Kernel), Some(Kexec), Some(Kernel), None], 1 ; "kexec")]
    #[test_case(&[Some(Kernel), Some(Firmware), Some(Kernel)], 2 ; "hard reset")]
    #[test_case(&[None, Some(End), Some(End), None, None], 2 ; "quiet kernels")]
    #[test_case(&[Some(Kernel), Some(End), Some(Firmware), Some(Loader), Some(Kernel)], 2 ; "reboot with all banners")]
    #[test_case(&[None, Some(End)], 1 ; "ended and silent")]
    #[test_case(&[Some(Loader), Some(End), Some(Loader), Some(End), Some(Loader)], 3 ; "crash loop")]
    fn boots_are_counted(markers: &[Option<Marker>], boot: u32) {
        let mut counter = BootCounter::default();
        markers.iter().for_each(|&marker| counter.see(marker));
        assert_eq!(counter.boot(), boot);
    }
}
