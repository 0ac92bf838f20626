//! What a query takes on average.

use super::Scene;

/// An upper bound of the mean latency of one replica that always takes all that waits, under
/// Poisson arrivals; the exact value is within a few per cent of it. Absent from the rate on at
/// which the queue grows without end.
///
/// Inoue, "Queueing analysis of GPU-based inference servers with dynamic batching: a closed-form
/// characterization" (Performance Evaluation 147, 2021), the closed-form upper bound, min(φ0, φ1).
pub fn mean_latency_max_ns(scene: &Scene, rate_qps: f64) -> Option<f64> {
    let (alpha, tau) = (scene.line().per_row_ns, scene.line().fixed_ns);
    let lambda = rate_qps / 1e9;
    let load = lambda * alpha;
    if !(0.0..1.0).contains(&load) || scene.replicas() != 1 {
        return None;
    }
    let light = (alpha + tau) / (2.0 * (1.0 - load))
        * (1.0 + 2.0 * lambda * tau + (1.0 - lambda * tau) / (1.0 + load));
    let heavy = 1.5 * tau / (1.0 - load) + alpha / 2.0 * (load + 2.0) / (1.0 - load * load);
    Some(light.min(heavy))
}

#[cfg(test)]
mod tests {
    use super::super::scene::testing::scene;
    use super::*;

    #[test]
    fn a_query_that_is_alone_takes_what_a_batch_of_one_takes() {
        let mean_ns = mean_latency_max_ns(&scene(0.1, 4.0, 20, 1), 1e-6).unwrap();
        assert!((mean_ns - 4.1e6).abs() < 1.0, "{mean_ns}");
    }

    #[test]
    fn it_grows_with_the_rate_and_ends_where_rows_come_faster_than_they_are_served() {
        let scene = scene(0.1, 4.0, 20, 1);
        let at = |rate_qps| mean_latency_max_ns(&scene, rate_qps);
        let means: Vec<f64> =
            (1..10).filter_map(|thousands| at(f64::from(thousands) * 1e3)).collect();
        assert!(means.len() == 9 && means.is_sorted(), "{means:?}");
        assert_eq!([10_000.0, -1.0, f64::NAN].map(at), [None; 3]);
    }
}
