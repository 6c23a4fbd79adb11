//! When the engine does something by itself (`update_check_scheduler.cc`, `main.cc`).

use std::time::{Duration, Instant};

/// update_engine waits 45 seconds before it marks the slot good. Here it is shorter, because scenarios wait for it, and
/// long enough that a system that crashes on its way up is not called good.
const MARK_GOOD: Duration = Duration::from_secs(10);

/// Between the start and the first check, and between checks; each up to five minutes more or less.
const FIRST_CHECK: Duration = Duration::from_secs(7 * 60);
const NEXT_CHECK: Duration = Duration::from_secs(45 * 60);
const FUZZ: Duration = Duration::from_secs(10 * 60);

/// What is due, and when.
#[derive(Debug)]
pub(crate) struct Schedule {
    fuzz: Duration,
    /// `None` when it is done, or must not be.
    pub(crate) mark_good: Option<Instant>,
    pub(crate) check: Instant,
}

impl Schedule {
    /// `seed` is a random id: machines that were started together shall not ask together.
    pub(crate) fn new(start: Instant, seed: &str, mark_good: bool) -> Self {
        let sum =
            seed.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let fuzz = FUZZ.mul_f64(f64::from(sum) / f64::from(u32::MAX));
        Self {
            fuzz,
            mark_good: mark_good.then(|| start + MARK_GOOD),
            check: start + FIRST_CHECK + fuzz - FUZZ / 2,
        }
    }

    /// A check was made.
    pub(crate) fn checked(&mut self, now: Instant) {
        self.check = now + NEXT_CHECK + self.fuzz - FUZZ / 2;
    }

    /// The next time that something is due.
    pub(crate) fn next(&self) -> Instant {
        self.mark_good.map_or(self.check, |mark_good| mark_good.min(self.check))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_check_comes_after_some_minutes() {
        let start = Instant::now();
        for seed in ["", "4f2c7e6a-8a0f", "zzzz", "0"] {
            let mut schedule = Schedule::new(start, seed, true);
            assert_eq!(schedule.next(), start + MARK_GOOD);
            schedule.mark_good = None;
            let minutes = (schedule.next() - start).as_secs() / 60;
            assert!((2..=12).contains(&minutes), "{minutes}");
            schedule.checked(start);
            let minutes = (schedule.next() - start).as_secs() / 60;
            assert!((40..=50).contains(&minutes), "{minutes}");
        }
    }
}
