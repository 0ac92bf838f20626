//! Whether a share of requests lies below a limit or above it, decided as soon as it is known.
//!
//! Wald's sequential probability ratio test ("Sequential Tests of Statistical Hypotheses", 1945):
//! after each chunk of requests, the log-likelihood of "the share is `margin` above the limit"
//! against "`margin` below it". It is deflated by the inflation of the variance, since samples
//! that resemble each other say less.

/// The chance of a wrong decision, on either side, for a share that is `margin` away.
pub const ERROR: f64 = 0.01;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Below,
    Above,
    Undecided,
}

/// A test of a share against a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareTest {
    /// What one request above and one below say for the upper share.
    hit: f64,
    miss: f64,
}

impl ShareTest {
    /// A test whether a share lies below or above `limit`. Shares closer to it than `margin` (0.25:
    /// a quarter of the limit) may be decided either way.
    ///
    /// # Panics
    /// When `limit` and `margin` do not lie between 0 and 1.
    pub fn new(limit: f64, margin: f64) -> Self {
        assert!(limit > 0.0 && limit < 1.0, "{limit} is no share to test against");
        assert!(margin > 0.0 && margin < 1.0, "{margin} is no margin");
        let below = limit * (1.0 - margin);
        // As far above as below, but less than all.
        let above = limit + margin * limit.min(1.0 - limit);
        Self { hit: (above / below).ln(), miss: ((1.0 - above) / (1.0 - below)).ln() }
    }

    /// What `hits` of `requests` say, when `inflation` requests count as one.
    pub fn decide(&self, requests: u64, hits: u64, inflation: f64) -> Decision {
        let misses = requests.saturating_sub(hits) as f64;
        let evidence = (hits as f64 * self.hit + misses * self.miss) / inflation.max(1.0);
        let enough = ((1.0 - ERROR) / ERROR).ln();
        if evidence >= enough {
            Decision::Above
        } else if evidence <= -enough {
            Decision::Below
        } else {
            Decision::Undecided
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Chunks until a decision, and the decision, for requests that come in groups.
    fn run(share: f64, group: u64, random: &mut Random) -> (u64, Decision) {
        let test = ShareTest::new(0.01, 0.25);
        let (mut requests, mut hits) = (0, 0);
        loop {
            let more = (0..1_000).filter(|_| random.next_f64() < share).count() as u64;
            requests += 1_000 * group;
            hits += more * group;
            let decision = test.decide(requests, hits, group as f64);
            if decision != Decision::Undecided {
                return (requests / group / 1_000, decision);
            }
        }
    }

    #[test]
    fn shares_at_the_margin_are_decided_rightly_and_at_once_far_from_it() {
        let mut random = Random::new(1);
        for group in [1, 20] {
            let mut wrong = |share: f64, decision: Decision| {
                (0..300).filter(|_| run(share, group, &mut random).1 != decision).count()
            };
            assert!(wrong(0.0075, Decision::Below) <= 8);
            assert!(wrong(0.0125, Decision::Above) <= 8);
        }
        assert_eq!(run(0.0, 1, &mut random), (1, Decision::Below));
        assert_eq!(run(0.2, 1, &mut random), (1, Decision::Above));
    }

    #[test]
    fn samples_that_resemble_each_other_say_less() {
        let test = ShareTest::new(0.01, 0.25);
        assert_eq!(test.decide(10_000, 200, 1.0), Decision::Above);
        assert_eq!(test.decide(10_000, 200, 20.0), Decision::Undecided);
        assert_eq!(test.decide(0, 0, 1.0), Decision::Undecided);
    }
}
