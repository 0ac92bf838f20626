use super::*;

fn settings() -> CompareSettings {
    CompareSettings {
        a: "old".into(),
        b: "new".into(),
        metric: "p99".into(),
        unit: "µs".into(),
        least_effect: CompareSettings::LEAST_EFFECT,
        detect: CompareSettings::DETECT,
    }
}

/// A normal number (Box & Muller, 1958).
fn normal(random: &mut Random) -> f64 {
    let radius = (2.0 * random.exponential(1.0)).sqrt();
    radius * (std::f64::consts::TAU * random.next_f64()).cos()
}

/// Runs in their order, each with its noise, on a machine that takes `drift(share of the session)`
/// times as long.
fn session(
    pairs: usize,
    ratio: f64,
    noise: f64,
    drift: impl Fn(f64) -> f64,
    random: &mut Random,
) -> (Vec<f64>, Vec<f64>) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        for (place, side) in order(pair).into_iter().enumerate() {
            let at = (2 * pair + place) as f64 / (2 * pairs - 1) as f64;
            let value = 250.0 * drift(at) * (noise * normal(random)).exp();
            match side {
                Side::A => a.push(value),
                Side::B => b.push(value * ratio),
            }
        }
    }
    (a, b)
}

/// The share of 200 sessions that end with this verdict.
fn share(
    verdict: Verdict,
    (ratio, noise): (f64, f64),
    drift: impl Fn(f64) -> f64 + Copy,
    seed: u64,
) -> f64 {
    let mut random = Random::new(seed);
    let mut found = |_: &i32| {
        let (a, b) = session(10, ratio, noise, drift, &mut random);
        decide(&a, &b, &settings(), &mut random).unwrap().verdict == verdict
    };
    (0..100).filter(&mut found).count() as f64 / 100.0
}

fn steady(_: f64) -> f64 {
    1.0
}

fn ten_percent_slower_at_the_end(at: f64) -> f64 {
    1.0 + 0.1 * at
}

fn up_and_down(at: f64) -> f64 {
    1.0 + 0.03 * (std::f64::consts::TAU * at).sin()
}

#[test]
fn a_against_itself_shows_no_difference_in_97_of_100_sessions() {
    let same = (1.0, 0.02);
    let shares = [
        share(Verdict::NoDifference, same, steady, 1),
        share(Verdict::NoDifference, same, ten_percent_slower_at_the_end, 2),
        share(Verdict::NoDifference, same, up_and_down, 3),
    ];
    assert!(shares.iter().all(|share| *share >= 0.97), "{shares:?}");
}

#[test]
fn five_percent_more_is_slower_and_five_percent_less_is_faster_in_95_of_100_sessions() {
    let (more, less) = ((1.05, 0.02), (1.0 / 1.05, 0.02));
    let shares = [
        share(Verdict::Slower, more, steady, 4),
        share(Verdict::Slower, more, ten_percent_slower_at_the_end, 5),
        share(Verdict::Faster, less, ten_percent_slower_at_the_end, 6),
    ];
    assert!(shares.iter().all(|share| *share >= 0.95), "{shares:?}");
}

#[test]
fn noise_that_would_hide_five_percent_is_called_noise() {
    let noisy = share(Verdict::TooNoisy, (1.0, 0.15), steady, 7);
    assert!(noisy >= 0.9, "{noisy}");
}

#[test]
fn a_difference_too_small_to_matter_is_none() {
    let mut random = Random::new(8);
    let (a, b) = session(10, 1.005, 0.0001, steady, &mut random);
    let found = decide(&a, &b, &settings(), &mut random).unwrap();
    assert_eq!(found.verdict, Verdict::NoDifference);
    assert!(found.p_value < 0.001 && found.ratio_low > 1.0, "{found:?}");
}

#[test]
fn sides_trade_places_from_pair_to_pair() {
    assert_eq!(order(0), [Side::A, Side::B]);
    assert_eq!(order(1), [Side::B, Side::A]);
    assert_eq!(order(2), [Side::A, Side::B]);
}

#[test]
fn an_even_drift_is_taken_out_without_the_difference() {
    let (a, b) = session(8, 1.5, 0.0, |at| (0.4 * at).exp(), &mut Random::new(9));
    let pairs: Vec<(f64, f64)> = a.into_iter().zip(b).collect();
    let (level_a, level_b) = without_drift(&pairs);
    assert!(level_a.iter().all(|level| (level - level_a[0]).abs() < 1e-9), "{level_a:?}");
    assert!(level_b.iter().all(|level| (level - level_a[0] - 1.5_f64.ln()).abs() < 1e-9));
}

#[test]
fn statuses_for_scripts_follow_the_verdict() {
    let mut random = Random::new(10);
    let found = decide(&[1.0; 5], &[2.0, 2.0, 2.1, 2.0, 2.0], &settings(), &mut random).unwrap();
    let status = |verdict| CompareResult { verdict, ..found.clone() }.exit_status();
    assert_eq!(found.verdict, Verdict::Slower);
    let verdicts = [Verdict::Faster, Verdict::NoDifference, Verdict::Slower, Verdict::TooNoisy];
    assert_eq!(verdicts.map(status), [0, 0, 1, 3]);
    assert_eq!(serde_json::to_value(found.verdict).unwrap(), "slower");
}

#[test]
fn too_few_pairs_and_values_without_a_ratio_are_refused() {
    let mut random = Random::new(11);
    let error = decide(&[1.0; 4], &[1.0; 9], &settings(), &mut random).unwrap_err();
    assert_eq!(error, CompareError::Pairs { pairs: 4 });
    for value in [0.0, -1.0, f64::INFINITY] {
        let error = decide(&[1.0; 5], &[1.0, value, 1.0, 1.0, 1.0], &settings(), &mut random);
        assert_eq!(error.unwrap_err(), CompareError::Value { side: "new".into(), run: 2, value });
    }
}

#[test]
fn people_read_a_table_and_a_sentence() {
    let mut random = Random::new(12);
    let a = [100.0, 101.0, 100.5, 99.5, 100.0];
    let found = decide(&a, &a.map(|value| value * 1.25), &settings(), &mut random).unwrap();
    assert_eq!(
        found.to_string(),
        "p99 (µs)   runs        least       median         most\n\
         old           5         99.5        100.0        101.0\n\
         new           5        124.4        125.0        126.2\n\
         \n\
         ratio 1.2500, between 1.2500 and 1.2500 with 95 % confidence; p = 0.0079; effect size \
         +1.00\n\
         new is slower than old by 25.0 %.\n"
    );
    let quiet = CompareResult { verdict: Verdict::NoDifference, ..found };
    assert!(quiet.sentence().contains("resolve about 0.0 %"), "{}", quiet.sentence());
}
