//! A model of a running server: its line, its promise, its replicas, as the admin port tells them.

use cutter_admin_api::inspect::EngineAnswer;
use cutter_admin_api::stats::Model;
use cutter_admin_api::{Inspection, Stats};

use super::fit::{Fit, FitError, fit, sums};
use super::{Scene, SceneError};
use crate::text::{grouped, time};

/// What is known of a model that is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// `NAME:VERSION`.
    pub model: String,
    pub fit: Fit,
    /// The least of the applications that ask it; absent when none does.
    pub slo_ns: Option<u64>,
    /// What receiving, parsing and replying take.
    pub overhead_ns: u64,
    /// Those that are up.
    pub replicas: u32,
}

/// Why nothing can be said of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ServedError {
    #[error("the server has no model {wanted:?}; it has {}", known.join(", "))]
    NoModel { wanted: String, known: Vec<String> },
    #[error("which of the server's models? Name one of {} by --model", known.join(", "))]
    WhichModel { known: Vec<String> },
    #[error("no replica of {model} is up")]
    Down { model: String },
    #[error("the server was started anew meanwhile; ask again")]
    Restarted,
    #[error("{model}: {error}")]
    Fit {
        model: String,
        #[source]
        error: FitError,
    },
}

impl Served {
    /// Reads a model, by its name or as the only one. With an earlier answer only what was served
    /// since counts.
    pub fn of(
        now: &Inspection,
        wanted: Option<&str>,
        earlier: Option<&Stats>,
    ) -> Result<Self, ServedError> {
        if earlier.is_some_and(|earlier| now.stats.is_of_another_start(earlier)) {
            return Err(ServedError::Restarted);
        }
        let place = find(&now.stats.models, wanted)?;
        let model = &now.stats.models[place];
        let name = name_of(model);
        let replicas = model.replicas.iter().filter(|replica| replica.up).count();
        let replicas = u32::try_from(replicas).unwrap_or(u32::MAX);
        if replicas == 0 {
            return Err(ServedError::Down { model: name });
        }
        let since = earlier.map(|earlier| &earlier.models[place].replicas[..]);
        let fit = sums(&model.replicas, since).and_then(|sums| fit(&sums));
        let fit = fit.map_err(|error| ServedError::Fit { model: name.clone(), error })?;
        let asking = now.stats.applications.iter().filter(|app| app.models.contains(&place));
        let overhead_ns = match &now.engine {
            EngineAnswer::Says(engine) => engine.models.get(place).map(|model| model.overhead_ns),
            EngineAnswer::Silent(_) => None,
        };
        Ok(Self {
            model: name,
            fit,
            slo_ns: asking.map(|app| app.slo_ns).min(),
            overhead_ns: overhead_ns.unwrap_or(0),
            replicas,
        })
    }

    /// With an SLO that may be another than the server's.
    pub fn scene(&self, slo_ns: u64) -> Result<Scene, SceneError> {
        Scene::new(self.fit.line, slo_ns, self.overhead_ns, self.replicas)
    }

    /// In a line.
    pub fn told(&self) -> String {
        let whole = crate::stats::whole;
        format!(
            "{}: fitted to {} batches, R² {:.3}, off by {} each; overhead {}",
            self.model,
            grouped(self.fit.batches),
            self.fit.r_squared,
            time(whole(self.fit.residual_ns)),
            time(self.overhead_ns)
        )
    }
}

/// The place of a model that is named as `NAME` or `NAME:VERSION`, or of the only one.
pub fn find(models: &[Model], wanted: Option<&str>) -> Result<usize, ServedError> {
    let known = || models.iter().map(name_of).collect();
    let Some(wanted) = wanted else {
        return if models.len() == 1 {
            Ok(0)
        } else {
            Err(ServedError::WhichModel { known: known() })
        };
    };
    let is_named = |model: &Model| model.model == wanted || name_of(model) == wanted;
    let mut named = models.iter().enumerate().filter(|(_, model)| is_named(model));
    match (named.next(), named.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some(_), Some(_)) => Err(ServedError::WhichModel { known: known() }),
        (None, _) => Err(ServedError::NoModel { wanted: wanted.to_owned(), known: known() }),
    }
}

/// The model of the application that a path asks, when that has one alone.
pub fn find_asked(stats: &Stats, path: &str) -> Option<String> {
    let is_asked = |name: &str| path.split('/').any(|segment| segment == name);
    let application = stats.applications.iter().find(|app| is_asked(&app.name))?;
    let [place] = application.models[..] else { return None };
    stats.models.get(place).map(name_of)
}

fn name_of(model: &Model) -> String {
    format!("{}:{}", model.model, model.version)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::testing::busy_json;

    /// A server whose first replica served batches of 1 to 50 rows in 4 ms and 0.1 ms for each.
    fn inspection() -> Value {
        let (mut rows, mut squared, mut ns, mut product, mut us_squared) = (0_u64, 0, 0, 0, 0);
        for batch in 0..1_000 {
            let (size, service_ns) = (1 + batch % 50, 4_100_000 + batch % 50 * 100_000);
            rows += size;
            squared += size * size;
            ns += service_ns;
            product += size * service_ns;
            us_squared += service_ns * service_ns / 1_000_000;
        }
        let mut stats = busy_json(1);
        let sums = |times: u64| {
            json!({
                "batches": 1_000 * times, "rows": rows * times, "rows_squared": squared * times,
                "service_ns": ns * times, "rows_service_ns": product * times,
                "service_us_squared": us_squared * times,
            })
        };
        stats["models"][0]["replicas"][0]["service_sums"] = sums(1);
        stats["models"][0]["replicas"][1]["service_sums"] = sums(0);
        json!({
            "schema": "cutter-inspect/1", "readiness": { "status": "ready", "models": [] },
            "engine": "it does not say", "stats": stats,
        })
    }

    fn served(json: Value, wanted: Option<&str>) -> Result<Served, ServedError> {
        Served::of(&serde_json::from_value(json).unwrap(), wanted, None)
    }

    #[test]
    fn a_model_is_read_with_its_line_its_promise_and_the_replicas_that_are_up() {
        for wanted in [None, Some("softmax"), Some("softmax:1")] {
            let found = served(inspection(), wanted).unwrap();
            assert_eq!((found.slo_ns, found.replicas), (Some(20_000_000), 1));
            let (bound_qps, _) = super::super::fluid_optimum(&found.scene(20_000_000).unwrap());
            assert!((bound_qps / 6_000.0 - 1.0).abs() < 0.01, "{bound_qps}");
            assert!(found.told().contains("softmax:1: fitted to 1,000 batches, R² 1.000"));
        }
    }

    #[test]
    fn a_model_that_is_not_there_or_not_told_apart_is_named_with_those_there_are() {
        let told = served(inspection(), Some("trees")).unwrap_err().to_string();
        assert_eq!(told, "the server has no model \"trees\"; it has softmax:1");
        let mut two = inspection();
        let mut newer = two["stats"]["models"][0].clone();
        newer["version"] = json!("2");
        two["stats"]["models"].as_array_mut().unwrap().push(newer);
        for wanted in [None, Some("softmax")] {
            let told = served(two.clone(), wanted).unwrap_err().to_string();
            assert!(told.contains("softmax:1, softmax:2 by --model"), "{told}");
        }
        assert_eq!(served(two, Some("softmax:2")).unwrap().slo_ns, None, "nobody asks it");
    }

    #[test]
    fn the_model_of_a_path_is_that_of_its_application() {
        let stats: Stats = serde_json::from_value(inspection()["stats"].take()).unwrap();
        let asked = ["/digits/predict", "/v2/models/digits/infer", "/other/predict", "/"];
        let found = asked.map(|path| find_asked(&stats, path));
        let softmax = Some("softmax:1".to_owned());
        assert_eq!(found, [softmax.clone(), softmax, None, None]);
    }

    #[test]
    fn a_model_that_is_down_or_whose_sums_are_not_told_is_refused() {
        let mut down = inspection();
        down["stats"]["models"][0]["replicas"][0]["up"] = json!(false);
        assert!(served(down, None).unwrap_err().to_string().contains("no replica of softmax:1"));
        let mut older = inspection();
        older["stats"]["models"][0]["replicas"][0].as_object_mut().unwrap().remove("service_sums");
        assert!(served(older, None).unwrap_err().to_string().contains("an older one"));
    }

    #[test]
    fn only_what_was_served_since_counts_and_nothing_does_across_a_restart() {
        let now: Inspection = serde_json::from_value(inspection()).unwrap();
        let told = Served::of(&now, None, Some(&now.stats)).unwrap_err().to_string();
        assert!(told.contains("0 batches are too few"), "{told}");
        let mut later = now.stats.clone();
        later.engine.uptime_ns += 1;
        let told = Served::of(&now, None, Some(&later)).unwrap_err();
        assert_eq!(told, ServedError::Restarted);
    }
}
