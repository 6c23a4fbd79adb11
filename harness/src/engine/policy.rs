//! When a case gets another attempt, and how long it may take.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use wheeltap_reports::FailureClass;
use wheeltap_scenarios::Scenario;

/// How cases are attempted, and when a run starts nothing more.
#[derive(Clone)]
pub struct Policy {
    /// What holds for a case of this scenario.
    pub case: Arc<dyn Fn(&Scenario) -> CasePolicy + Send + Sync>,
    /// How often each case is run, whatever comes of it; more than once measures how often it passes, and nothing is retried.
    pub repeat: u32,
    /// From the start of the run to its end.
    pub deadline: Option<Duration>,
    /// After so many failed cases nothing more is started.
    pub max_fail: Option<usize>,
}

impl Default for Policy {
    /// Whatever holds for cases by default, once, to the end.
    fn default() -> Self {
        Self {
            case: Arc::new(|_| CasePolicy::default()),
            repeat: 1,
            deadline: None,
            max_fail: None,
        }
    }
}

/// How one case is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CasePolicy {
    /// What is tried again.
    pub retries: Retries,
    /// After this time, and whenever it has passed again, the run says that the case is slow. Under KVM: it is multiplied by
    /// the platform's slowness.
    pub slow_timeout: Duration,
    /// In place of the scenario's own limit; under KVM, too.
    pub timeout: Option<Duration>,
}

impl Default for CasePolicy {
    fn default() -> Self {
        Self { retries: Retries::default(), slow_timeout: Duration::from_secs(60), timeout: None }
    }
}

/// How often a case is tried again, by the class of its failure. A failure of one class uses up none of the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// After a failure of the image or of the scenario. A pass that comes of it is `flaky`, not `pass`.
    pub product: u32,
    /// After a failure of the host or the platform.
    pub infra: u32,
    /// The pause before a retry after a failure of the infrastructure; doubled each time. The image gets none: it doesn't
    /// recover by waiting.
    pub pause: Duration,
}

impl Retries {
    /// None at all.
    pub const NEVER: Self = Self { product: 0, infra: 0, pause: Duration::ZERO };
}

impl Default for Retries {
    /// The image has one chance; a host that was busy has two.
    fn default() -> Self {
        Self { product: 0, infra: 1, pause: Duration::from_secs(1) }
    }
}

impl fmt::Display for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "product={},infra={}", self.product, self.infra)
    }
}

impl FromStr for Retries {
    type Err = String;

    /// `2`, or `product=1,infra=3`; what isn't named is as by default.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}`: give a number, or product=N,infra=N");
        if let Ok(count) = text.parse() {
            return Ok(Self { product: count, infra: count, ..Self::default() });
        }
        let mut retries = Self::default();
        for part in text.split(',') {
            let (class, count) = part.split_once('=').ok_or_else(wrong)?;
            let count = count.trim().parse().map_err(|_| wrong())?;
            match class.trim() {
                "product" => retries.product = count,
                "infra" => retries.infra = count,
                _ => return Err(wrong()),
            }
        }
        Ok(retries)
    }
}

/// What a case has used up of its retries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    product: u32,
    infra: u32,
}

impl Tries {
    /// Whether another attempt follows one that failed like this, and after which pause.
    pub(crate) fn again(&mut self, failed: FailureClass, retries: Retries) -> Option<Duration> {
        match failed {
            FailureClass::Product | FailureClass::Test => {
                self.product += 1;
                (self.product <= retries.product).then_some(Duration::ZERO)
            }
            FailureClass::Infra => {
                self.infra += 1;
                let doublings = self.infra.saturating_sub(1).min(10);
                (self.infra <= retries.infra).then(|| retries.pause * 2_u32.pow(doublings))
            }
            // A defect of our own would only show itself again.
            FailureClass::Harness => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{
        FailureClass::{self, Harness, Infra, Product, Test},
        *,
    };

    #[test_case("2" => Ok((2, 2)))]
    #[test_case("0" => Ok((0, 0)))]
    #[test_case("product=1,infra=3" => Ok((1, 3)))]
    #[test_case("product=1" => Ok((1, 1)); "the other is as by default")]
    #[test_case("" => Err(()); "empty")]
    #[test_case("-1" => Err(()))]
    #[test_case("flaky=1" => Err(()))]
    #[test_case("product=" => Err(()))]
    fn retries(text: &str) -> Result<(u32, u32), ()> {
        text.parse().map(|Retries { product, infra, .. }| (product, infra)).map_err(|_| ())
    }

    #[test_case(&[Product], 0, 0 => vec![false]; "the image has one chance")]
    #[test_case(&[Product, Product, Product], 2, 0 => vec![true, true, false])]
    #[test_case(&[Infra, Product, Infra], 0, 1 => vec![true, false, false]; "classes are counted apart")]
    #[test_case(&[Product, Infra, Test], 1, 1 => vec![true, true, false]; "a scenario's own fault counts as the image's")]
    #[test_case(&[Harness], 9, 9 => vec![false]; "a defect stays one")]
    fn attempts_follow(failures: &[FailureClass], product: u32, infra: u32) -> Vec<bool> {
        let retries = Retries { product, infra, pause: Duration::ZERO };
        let mut tries = Tries::default();
        failures.iter().map(|class| tries.again(*class, retries).is_some()).collect()
    }

    #[test]
    fn pauses_double() {
        let retries = Retries { product: 9, infra: 3, pause: Duration::from_secs(1) };
        let mut tries = Tries::default();
        let pauses = [(); 3].map(|()| tries.again(Infra, retries).map(|pause| pause.as_secs()));
        assert_eq!(pauses, [Some(1), Some(2), Some(4)]);
        assert_eq!(tries.again(Product, retries), Some(Duration::ZERO));
    }
}
