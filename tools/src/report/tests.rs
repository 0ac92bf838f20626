use std::collections::BTreeSet;

use proptest::prelude::*;
use roxmltree::Document;
use serde_json::Value;

use super::{page, samples};
use crate::result::load::{EngineSeries, Slices};
use crate::result::{Finding, Floors, LoadResult, ResultFile};

const HOSTILE: &str = "</title><script src='http://evil.example/x'>alert(\"&\")</script>\u{1}";
const SVG: &str = "http://www.w3.org/2000/svg";

fn without_doctype(page: &str) -> &str {
    page.strip_prefix("<!DOCTYPE html>\n").expect("a page begins with its type")
}

/// The titles of all drawings.
fn drawings(page: &str) -> Vec<String> {
    let document = Document::parse(without_doctype(page)).expect("well-formed XML");
    let svgs = document.descendants().filter(|node| node.has_tag_name((SVG, "svg")));
    svgs.map(|svg| svg.first_element_child().unwrap().text().unwrap().to_owned()).collect()
}

fn of_load(load: LoadResult) -> ResultFile {
    let mut file = samples::file(Finding::Load(Box::new(load)));
    file.environment.floors = None;
    file
}

/// A file with every text and every number replaced, where its type allows that.
fn replaced(
    file: &ResultFile,
    text: &dyn Fn(&str) -> Value,
    number: &dyn Fn() -> Value,
) -> ResultFile {
    fn walk(
        key: &str,
        value: &mut Value,
        text: &dyn Fn(&str) -> Value,
        number: &dyn Fn() -> Value,
    ) {
        match value {
            Value::String(_) if !["kind", "state", "verdict", "decided_by"].contains(&key) => {
                *value = text(key);
            }
            Value::Number(n) if n.is_u64() => *value = number(),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(key, item, text, number)),
            Value::Object(fields) if key == "http_statuses" => fields.clear(),
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(key, value)| walk(key, value, text, number));
            }
            _ => {}
        }
    }
    let mut value = serde_json::to_value(file).unwrap();
    walk("", &mut value, text, number);
    serde_json::from_value(value).expect("only what types allow was replaced")
}

#[test]
fn a_load_run_has_every_chart_that_it_has_data_for() {
    let file = of_load(samples::load(2_000.0, 1.0));
    assert_eq!(
        drawings(&page(&[file])),
        [
            "Latency by percentile",
            "Share of requests answered within a time",
            "Latency over time",
            "Stages of a query in the engine",
            "Batch size and its limit over time",
            "Queue over time",
        ]
    );
}

#[test]
fn charts_without_data_are_absent() {
    let full = || samples::load(2_000.0, 1.0);
    let has = |load: LoadResult, title: &str| {
        drawings(&page(&[of_load(load)])).iter().any(|drawing| drawing == title)
    };
    let no_slices = LoadResult { slices: Slices::default(), ..full() };
    assert!(!has(no_slices, "Latency over time"));
    let mut no_stages = full();
    no_stages.engine.as_mut().unwrap().stages.clear();
    assert!(!has(no_stages, "Stages of a query in the engine"));
    let no_samples = LoadResult { engine: Some(EngineSeries::default()), ..full() };
    assert!(!has(no_samples.clone(), "Queue over time"));
    assert!(!has(no_samples, "Batch size and its limit over time"));
    let mut no_batches = full();
    let samples = &mut no_batches.engine.as_mut().unwrap().samples;
    samples.iter_mut().for_each(|sample| {
        (sample.models[0].batch_mean, sample.models[0].limits) = (None, vec![]);
    });
    assert!(!has(no_batches, "Batch size and its limit over time"));
    let mut no_curve = full();
    no_curve.latency.curve.clear();
    assert!(!has(no_curve, "Latency by percentile"));
}

#[test]
fn nothing_is_drawn_of_a_run_without_requests() {
    let page = page(&[of_load(samples::empty_load())]);
    assert_eq!(drawings(&page), [""; 0]);
    assert!(page.contains("INVALID") && page.contains("no request was sent"));
    assert!(page.contains("needs 6 requests, there were 0"));
}

#[test]
fn a_run_of_which_nothing_was_answered_shows_only_when_it_failed() {
    let page = page(&[of_load(samples::failed_load())]);
    assert_eq!(drawings(&page), ["Latency over time"]);
    assert!(page.contains("never answered"));
    assert!(page.contains(r#"class="failed""#));
    assert!(!page.contains("course p50"));
}

#[test]
fn a_sweep_takes_two_runs_at_least() {
    let title = "Latency by offered rate".to_owned();
    let (one, two) = (samples::load_file(1_000.0, 1.0), samples::load_file(2_000.0, 1.0));
    assert!(!drawings(&page(std::slice::from_ref(&one))).contains(&title));
    assert!(drawings(&page(&[one, two])).contains(&title));
}

#[test]
fn floors_are_drawn_once_however_many_results_have_them() {
    let files = [samples::load_file(1_000.0, 1.0), samples::load_file(2_000.0, 1.0)];
    let titles = drawings(&page(&files));
    assert_eq!(titles.iter().filter(|title| *title == "What this machine can do").count(), 1);
    assert!(page(&files).contains("floor tcp_spin 5.80 µs"));
    assert!(!page(&files).contains("floor unix_spin"));
    let none = samples::file(Finding::Floor(Floors::default()));
    let empty = ResultFile { environment: Default::default(), ..none };
    assert_eq!(drawings(&page(&[empty])), [""; 0]);
}

#[test]
fn capacity_and_compare_have_their_charts_when_they_have_runs() {
    let mut capacity = samples::capacity();
    let mut compare = samples::compare();
    let titles = |finding| {
        let environment = Default::default();
        drawings(&page(&[ResultFile { environment, ..samples::file(finding) }]))
    };
    let of_capacity = titles(Finding::Capacity(Box::new(capacity.clone())));
    assert_eq!(of_capacity, ["The search, step by step"]);
    let of_compare = titles(Finding::Compare(Box::new(compare.clone())));
    assert_eq!(of_compare, ["Runs of A and B", "B as a multiple of A"]);
    capacity.steps.clear();
    (compare.runs_a, compare.runs_b) = (vec![], vec![]);
    assert_eq!(titles(Finding::Capacity(Box::new(capacity))), [""; 0]);
    assert_eq!(titles(Finding::Compare(Box::new(compare))), [""; 0]);
}

#[test]
fn hostile_text_stays_text() {
    let hostile = |file: &ResultFile| replaced(file, &|_| HOSTILE.into(), &|| 7.into());
    let files: Vec<ResultFile> = samples::all().iter().map(hostile).collect();
    let page = page(&files);
    let document = Document::parse(without_doctype(&page)).expect("well-formed XML");
    let names: BTreeSet<&str> = document
        .descendants()
        .filter(|node| node.is_element())
        .map(|n| n.tag_name().name())
        .collect();
    assert!(names.contains("svg") && !names.contains("script"), "{names:?}");
    assert!(page.contains("&lt;script src=&#39;http://evil.example/x&#39;&gt;"));
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = page(&samples::all());
    let document = Document::parse(without_doctype(&page)).expect("well-formed XML");
    let attributes = document.descendants().flat_map(|node| node.attributes());
    let names: BTreeSet<&str> = attributes.map(|attribute| attribute.name()).collect();
    let loading = ["href", "src", "srcset", "data", "action", "style", "background", "poster"];
    assert!(loading.iter().all(|name| !names.contains(name)), "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with("on")), "{names:?}");
    assert!(!page.contains("url(") && !page.contains("@import"));
}

#[test]
fn every_picture_has_a_title_a_description_and_names_of_its_own() {
    let page = page(&samples::all());
    let document = Document::parse(without_doctype(&page)).expect("well-formed XML");
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    let svgs = document.descendants().filter(|node| node.has_tag_name((SVG, "svg")));
    let mut seen = 0;
    for svg in svgs {
        let named = svg.attribute("aria-labelledby").unwrap().split(' ');
        let words = named.map(|id| {
            let named = svg.children().find(|node| node.attribute("id") == Some(id));
            named.and_then(|node| node.text()).unwrap_or_default().to_owned()
        });
        assert!(words.into_iter().all(|words| !words.is_empty()));
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn many_slices_and_samples_share_columns() {
    let mut load = samples::load(2_000.0, 1.0);
    let first = load.slices.slices.clone();
    load.slices.slices = (0..360).flat_map(|_| first.clone()).collect();
    for (index, slice) in (0..).zip(&mut load.slices.slices) {
        slice.start_ns = index * load.slices.slice_ns;
    }
    let engine = load.engine.as_mut().unwrap();
    engine.samples = engine.samples.iter().cycle().take(36_000).cloned().collect();
    let page = page(&[of_load(load)]);
    assert!(drawings(&page).contains(&"Latency over time".to_owned()));
    assert!(page.len() < 1_500_000, "{}", page.len());
}

#[test]
fn no_results_make_a_page_that_says_so() {
    assert!(page(&[]).contains("There are no results."));
    assert_eq!(drawings(&page(&[])), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn numbers_of_any_size_make_a_page(seed in any::<u64>()) {
        let state = std::cell::Cell::new(seed | 1);
        let next = || {
            state.set(state.get().wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1));
            let few = state.get() >> 60;
            // Small enough for every type, but for those that take any.
            [0, 1, few, 100 + few, 65_535][usize::try_from(few % 5).unwrap()].into()
        };
        for file in samples::all() {
            let page = page(&[replaced(&file, &|_| "x".into(), &next)]);
            drawings(&page);
            prop_assert!(!page.contains("NaN") && !page.contains("inf\""));
        }
    }
}

#[test]
fn the_greatest_numbers_make_a_page() {
    let mut load = samples::load(2_000.0, 1.0);
    load.slo_ns = Some(u64::MAX);
    load.offered_qps = f64::MAX;
    load.latency.curve = vec![(0.0, 1), (0.5, u64::MAX), (1.0, u64::MAX)];
    load.latency.max_ns = u64::MAX;
    for quantile in &mut load.latency.quantiles {
        (quantile.value_ns, quantile.high_ns) = (Some(u64::MAX), None);
    }
    for slice in &mut load.slices.slices {
        (slice.start_ns, slice.max_ns, slice.requests) = (u64::MAX, Some(u64::MAX), u64::MAX);
        slice.heat = vec![(95, u64::MAX / 200), (usize::MAX, 1)];
    }
    let page = page(&[of_load(load)]);
    assert!(drawings(&page).contains(&"Latency by percentile".to_owned()));
    assert!(!page.contains("NaN"));
}
#[test]
fn steps_that_the_generator_spoiled_neither_pass_nor_fail() {
    let page = page(&[samples::file(Finding::Capacity(Box::new(samples::capacity())))]);
    assert_eq!(page.matches(r#"<circle class="undecided""#).count(), 2, "a step and the legend");
    assert!(page.contains("generator too slow"));
}

#[test]
fn policies_that_learn_have_their_accuracies_and_shares_and_the_line_to_beat() {
    let result = samples::selection();
    let page = page(&[samples::file(Finding::Selection(Box::new(result.clone())))]);
    assert_eq!(
        drawings(&page)[..4],
        [
            "Accuracy of the policies over the queries",
            "Accuracy of the models over the queries",
            "Shares of the models in exp3",
            "Shares of the models in exp4",
        ]
    );
    assert!(page.contains("small 80.0 %") && page.contains("large failed from query 1,001"));
    assert!(page.contains("102 of 102"));
    let mut nothing = result;
    nothing.policies.iter_mut().for_each(|policy| policy.over_time.clear());
    let page = super::page(&[samples::file(Finding::Selection(Box::new(nothing)))]);
    assert!(!drawings(&page).contains(&"Accuracy of the policies over the queries".to_owned()));
}
