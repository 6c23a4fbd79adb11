//! Time limits, each smaller than the one around it: command < step (boot, reboot) < scenario.

use std::time::Duration;

/// Time limits for one platform: what a guest needs under KVM, times the platform's slowness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    slowness: u32,
}

impl Limits {
    /// Limits for a platform whose guests are `slowness` times slower than under KVM.
    #[must_use]
    pub fn new(slowness: u32) -> Self {
        Self { slowness: slowness.max(1) }
    }

    /// From the start of a machine until the guest answers on SSH. Under TCG, eight times as long, the reference image needs
    /// 19 s on an idle core; real images start more, and Ignition may fetch from the network.
    #[must_use]
    pub fn boot(&self) -> Duration {
        self.scaled(Duration::from_secs(60))
    }

    /// From a request to reboot until the guest answers again: a shutdown, at worst with one unit that has to be killed,
    /// and a boot.
    #[must_use]
    pub fn reboot(&self) -> Duration {
        self.scaled(Duration::from_secs(90))
    }

    /// From a request to reboot into a version that doesn't come up until the old one answers again. The kernel waits a
    /// minute after a panic and Flatcar's initrd five minutes before it gives up, by their own clocks.
    #[must_use]
    pub fn rollback(&self) -> Duration {
        self.reboot() * 2 + Duration::from_secs(6 * 60)
    }

    /// An update, from the request until it is installed. Flatcar's payloads have 400 MB and more.
    #[must_use]
    pub fn update(&self) -> Duration {
        self.scaled(Duration::from_secs(180))
    }

    /// One command on the guest.
    #[must_use]
    pub fn command(&self) -> Duration {
        self.scaled(Duration::from_secs(20))
    }

    /// A condition on a running guest, such as a unit that becomes active.
    #[must_use]
    pub fn condition(&self) -> Duration {
        self.scaled(Duration::from_secs(30))
    }

    /// The pause between two looks at a guest: a look costs the guest a process or two.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(250) * self.slowness.min(4)
    }

    /// `limit` as it stands for KVM, scaled.
    #[must_use]
    pub fn scaled(&self, limit: Duration) -> Duration {
        limit * self.slowness
    }
}
