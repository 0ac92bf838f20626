//! What there is to be had when arrivals are even: closed forms, exact over whole batches.

use super::Scene;

const NS_PER_SECOND: f64 = 1e9;

/// U0: no scheduler answers more in time, whatever arrives and whatever it drops. All replicas run
/// the largest batch of which any query can be in time, without a pause.
pub fn ceiling_qps(scene: &Scene) -> f64 {
    served_qps(scene, scene.rows_max())
}

/// T*, and the rows of its batches: all are in time when arrivals are even and replicas take turns.
/// The first query of a batch then waits for the others of it, which come within one n-th of the
/// time that a batch takes, and for its own.
pub fn fluid_optimum(scene: &Scene) -> (f64, u64) {
    let replicas = f64::from(scene.replicas());
    let is_in_time = |rows: u64| {
        let others = (rows - 1) as f64 / (replicas * rows as f64);
        // What rounding may add must not cost a row.
        scene.line().service_ns(rows) * (1.0 + others) <= scene.budget_ns() * (1.0 + 1e-12)
    };
    // The time grows with the rows, so the largest batch is found by halves.
    let (mut most, mut too_many) = (1, scene.rows_max() + 1);
    while too_many - most > 1 {
        let middle = most.midpoint(too_many);
        if is_in_time(middle) {
            most = middle;
        } else {
            too_many = middle;
        }
    }
    (served_qps(scene, most), most)
}

/// All replicas without a pause, with batches of so many rows.
fn served_qps(scene: &Scene, rows: u64) -> f64 {
    f64::from(scene.replicas()) * rows as f64 * NS_PER_SECOND / scene.line().service_ns(rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ServiceLine;
    use super::super::scene::testing::scene;
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_reference() {
        // (per row, fixed, U0, T* of one replica, T* of four), as computed by hand.
        let rows = [
            (0.1, 1.0, 9_500.0, 9_000.0, 37_500.0),
            (0.1, 2.0, 9_000.0, 8_000.0, 35_000.0),
            (0.1, 4.0, 8_000.0, 6_000.0, 30_000.0),
            (1.0, 1.0, 950.0, 900.0, 3_750.0),
            (1.0, 4.0, 800.0, 600.0, 3_000.0),
        ];
        for (per_row_ms, fixed_ms, ceiling, one, four) in rows {
            let (alone, staggered) =
                (scene(per_row_ms, fixed_ms, 20, 1), scene(per_row_ms, fixed_ms, 20, 4));
            let found = [
                (ceiling_qps(&alone), ceiling),
                (fluid_optimum(&alone).0, one),
                (fluid_optimum(&staggered).0, four),
            ];
            for (found, known) in found {
                assert!((found / known - 1.0).abs() < 0.01, "{found} is not {known}");
            }
        }
        assert_eq!(fluid_optimum(&scene(0.1, 4.0, 20, 1)), (6_000.0, 60));
    }

    proptest! {
        #[test]
        fn the_optimum_is_the_best_of_all_batches_that_are_in_time(
            fixed_ns in 1.0_f64..9e6,
            per_row_ns in 5e3_f64..1e6,
            replicas in 1_u32..9,
        ) {
            let line = ServiceLine { fixed_ns, per_row_ns };
            let scene = Scene::new(line, 10_000_000, 0, replicas).unwrap();
            let (found_qps, rows) = fluid_optimum(&scene);
            let takes_ns = |rows: u64| {
                let others = (rows - 1) as f64 / (f64::from(replicas) * rows as f64);
                line.service_ns(rows) * (1.0 + others)
            };
            prop_assert!(rows == 1 || takes_ns(rows) <= 10e6 * 1.000_001);
            prop_assert!(takes_ns(rows + 1) > 10e6 * 0.999_999);
            prop_assert!(found_qps <= ceiling_qps(&scene) * 1.000_001);
        }
    }
}
