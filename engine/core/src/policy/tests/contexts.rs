//! LinUCB against linear equations that are solved anew each time.

use super::*;

/// Solves `a x = b` by elimination.
fn solve(mut a: [[f64; NUMBERS]; NUMBERS], mut b: [f64; NUMBERS]) -> [f64; NUMBERS] {
    for pivot in 0..NUMBERS {
        for row in 0..NUMBERS {
            if row != pivot {
                let factor = a[row][pivot] / a[pivot][pivot];
                (0..NUMBERS).for_each(|column| a[row][column] -= factor * a[pivot][column]);
                b[row] -= factor * b[pivot];
            }
        }
    }
    std::array::from_fn(|row| b[row] / a[row][row])
}

fn dot(a: [f64; NUMBERS], b: [f64; NUMBERS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn context(random: &mut Random) -> [f64; NUMBERS] {
    [1.0, 2.0 * random.uniform() - 1.0, 2.0 * random.uniform() - 1.0]
}

#[test]
fn lin_ucb_asks_the_largest_bound_of_its_paper() {
    let (models, alpha) = (3, 0.7);
    let policy = LinUcb::new(NUMBERS, alpha, 0.0).unwrap();
    let (mut state, mut random) = (policy.init(models), Random::new(SEED));
    let unit = |row: usize| std::array::from_fn(|column| f64::from(u8::from(row == column)));
    let mut matrices = [std::array::from_fn::<[f64; NUMBERS], NUMBERS, _>(unit); 3];
    let mut rewards = [[0.0; NUMBERS]; 3];
    for _ in 0..500 {
        let x = context(&mut random);
        let bound = |model: usize| {
            let estimate = dot(solve(matrices[model], rewards[model]), x);
            estimate + alpha * dot(solve(matrices[model], x), x).sqrt()
        };
        let bounds: [f64; 3] = std::array::from_fn(bound);
        let ask = Ask { servable: Models::first(models), context: Some(&x) };
        let asked = policy.select(&state, ask, &mut random).unwrap().models.iter().next().unwrap();
        let best = bounds.iter().copied().fold(f64::MIN, f64::max);
        assert!(bounds[asked] > best - 1e-9, "{asked} of {bounds:?}");
        let loss = random.uniform();
        let seen = [Seen { model: asked, loss, propensity: 1.0 }];
        let feedback = Feedback::new(&state, &seen, Some(&x)).unwrap();
        policy.observe(&mut state, &feedback).unwrap();
        assert!(policy.is_sound(&state));
        for row in 0..NUMBERS {
            (0..NUMBERS).for_each(|column| matrices[asked][row][column] += x[row] * x[column]);
            rewards[asked][row] += (1.0 - loss) * x[row];
        }
    }
}

#[test]
fn lin_ucb_learns_which_model_is_right_for_whom() {
    let policy = LinUcb::new(NUMBERS, 0.5, 0.0).unwrap();
    let (mut state, mut random) = (policy.init(2), Random::new(SEED));
    let mut right = 0;
    for round in 0..2_000 {
        let x = context(&mut random);
        let ask = Ask { servable: Models::first(2), context: Some(&x) };
        let asked = policy.select(&state, ask, &mut random).unwrap().models;
        let model = asked.iter().next().unwrap();
        // The first model is right for a second number above 0, the other one for the others.
        let is_right = (x[1] > 0.0) == (model == 0);
        let seen = [Seen { model, loss: f64::from(u8::from(!is_right)), propensity: 1.0 }];
        let feedback = Feedback::new(&state, &seen, Some(&x)).unwrap();
        policy.observe(&mut state, &feedback).unwrap();
        right += u32::from(round >= 1_000 && is_right);
    }
    assert!(right > 950, "{right} of 1000");
}

#[test]
fn a_context_of_another_length_or_out_of_range_is_refused_and_nothing_is_learned() {
    let policy = LinUcb::new(NUMBERS, 1.0, 0.0).unwrap();
    let mut state = policy.init(2);
    let before = state.clone();
    let expected = NUMBERS;
    let cases: [(Option<&[f64]>, PolicyError); 4] = [
        (None, PolicyError::ContextLength { expected, given: 0 }),
        (Some(&[1.0; 4]), PolicyError::ContextLength { expected, given: 4 }),
        (Some(&[1.0, 1.5, 0.0]), PolicyError::ContextNumber { place: 1, value: 1.5 }),
        (Some(&[0.0, 0.0, -9.0]), PolicyError::ContextNumber { place: 2, value: -9.0 }),
    ];
    for (context, error) in cases {
        let ask = Ask { servable: Models::first(2), context };
        let selected = policy.select(&state, ask, &mut Random::new(1));
        assert_eq!(selected.unwrap_err(), error);
        let seen = [Seen { model: 0, loss: 1.0, propensity: 1.0 }];
        let feedback = Feedback::new(&state, &seen, context).unwrap();
        assert_eq!(policy.observe(&mut state, &feedback).unwrap_err(), error);
        assert_eq!(state, before);
    }
    let nan = [1.0, f64::NAN, 0.0];
    let ask = Ask { servable: Models::first(2), context: Some(&nan) };
    assert!(policy.select(&state, ask, &mut Random::new(1)).is_err());
}
