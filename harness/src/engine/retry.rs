//! When a case gets another attempt.

use std::time::Duration;

use wheeltap_reports::FailureClass;

use crate::settings::{Backoff, Retries};

/// What a case has used up of its retries, by the class of its failures: one class uses up none of the other's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    product: u32,
    infra: u32,
}

impl Tries {
    /// Whether another attempt follows one that failed like this, and after which pause.
    pub(crate) fn again(&mut self, failed: FailureClass, retries: Retries) -> Option<Duration> {
        let (used, limit) = match failed {
            FailureClass::Product | FailureClass::Test => (&mut self.product, retries.product),
            FailureClass::Infra => (&mut self.infra, retries.infra),
            // A defect of our own would only show itself again.
            FailureClass::Harness => return None,
        };
        *used += 1;
        let pause = pause(*used, retries);
        let pause = if retries.jitter { pause.mul_f64(1.0 - fastrand::f64() / 2.0) } else { pause };
        (*used <= limit).then_some(pause)
    }
}

/// The pause before the `n`th retry, from 1.
fn pause(n: u32, retries: Retries) -> Duration {
    let pause = match retries.backoff {
        Backoff::Fixed => retries.delay,
        Backoff::Exponential => {
            retries.delay.saturating_mul(2_u32.saturating_pow(n.saturating_sub(1)))
        }
    };
    pause.min(retries.max_delay)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{
        FailureClass::{self, Harness, Infra, Product, Test},
        *,
    };

    fn retries(product: u32, infra: u32, backoff: Backoff) -> Retries {
        let (delay, max_delay) = (Duration::from_secs(1), Duration::from_secs(5));
        Retries { product, infra, backoff, delay, max_delay, jitter: false }
    }

    #[test_case(&[Product], 0, 0 => vec![false]; "the image has one chance")]
    #[test_case(&[Product, Product, Product], 2, 0 => vec![true, true, false])]
    #[test_case(&[Infra, Product, Infra], 0, 1 => vec![true, false, false]; "classes are counted apart")]
    #[test_case(&[Product, Infra, Test], 1, 1 => vec![true, true, false]; "a scenario's own fault counts as the image's")]
    #[test_case(&[Harness], 9, 9 => vec![false]; "a defect stays one")]
    fn attempts_follow(failures: &[FailureClass], product: u32, infra: u32) -> Vec<bool> {
        let retries = retries(product, infra, Backoff::Fixed);
        let mut tries = Tries::default();
        failures.iter().map(|class| tries.again(*class, retries).is_some()).collect()
    }

    #[test_case(Backoff::Fixed => [1, 1, 1, 1])]
    #[test_case(Backoff::Exponential => [1, 2, 4, 5])]
    fn pauses(backoff: Backoff) -> [u64; 4] {
        [1, 2, 3, 4].map(|n| pause(n, retries(0, 0, backoff)).as_secs())
    }

    #[test]
    fn jitter_makes_a_pause_up_to_half_shorter() {
        let retries = Retries { jitter: true, ..retries(u32::MAX, 0, Backoff::Fixed) };
        let mut tries = Tries::default();
        for _ in 0..1000 {
            let pause = tries.again(Product, retries).unwrap();
            assert!(pause >= retries.delay / 2 && pause <= retries.delay, "{pause:?}");
        }
    }
}
