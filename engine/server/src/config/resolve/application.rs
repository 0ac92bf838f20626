//! `[[application]]`: names, inputs, objectives and pools.

use cutter_tensor::{ElementType, Shape, TensorSpec};
use toml::Spanned;

use super::check;
use super::links::{Known, Linking, Links};
use super::policy;
use crate::config::error::Problem;
use crate::config::keys::{self, RESERVED_NAMES};
use crate::config::kinds::{BoundedText, Key, Numbers};
use crate::config::policies::Policies;
use crate::config::report::{Report, shown};
use crate::config::settings::{Application, row_stride};
use crate::config::value::Table;
use crate::limits::{
    INPUT_BYTES_DEFAULT, POOL_BYTES_AT_START_MAX, POOL_BYTES_MAX, POOL_ROWS_MAX, POOL_ROWS_MIN,
    SLO_US_DEFAULT,
};

/// Stands in for an input that is wrong, until the report ends the start.
const INPUT_STAND_IN: TensorSpec = TensorSpec::at_most(ElementType::Bytes, INPUT_BYTES_DEFAULT);

pub(super) fn resolve_all(
    tables: &[Spanned<Table<keys::Application>>],
    known: &Known<'_>,
    policies: &Policies,
    report: &mut Report<'_>,
) -> Vec<Application> {
    let mut applications = Vec::new();
    let mut links = Links::new(known);
    for (index, table) in tables.iter().enumerate() {
        let (at, table) = (table.span().start, &table.get_ref().0);
        let written = table.name().value.map(|name| name.get_ref().as_str());
        let of = check::owner("application", written, index);
        let name = name(table, &of, at, &tables[..index], report);
        let input = input(table, &of, at, report);
        let linking = Linking { of: &of, name: &name, input, at };
        let linked = links.resolve(&table.models(), &linking, report);
        let policy = table.policy().value.and_then(|policy| {
            let of = format!("the policy of {of}");
            policy::resolve(policy, of, &linked, known, policies, report)
        });
        let input = input.unwrap_or(INPUT_STAND_IN);
        let slo_us = check::number(&table.slo_us(), &of, report);
        let default_output = default_output(table, &of, report);
        let configured = configured_rows(table, &of, &input, report);
        let default = default_rows(&input);
        applications.push(Application {
            name,
            input,
            slo_ns: u64::from(slo_us.unwrap_or(SLO_US_DEFAULT)) * 1_000,
            default_output,
            models: linked.models,
            policy,
            rows: configured.unwrap_or(default.in_all),
            rows_at_start: configured.unwrap_or(default.at_start),
            json_output: table.json_output().value.copied().unwrap_or_default(),
        });
    }
    applications
}

fn name(
    table: &keys::Application,
    of: &str,
    at: usize,
    before: &[Spanned<Table<keys::Application>>],
    report: &mut Report<'_>,
) -> String {
    let key = table.name();
    let expected = "a name, as in `name = \"digits\"`";
    let Some(name) = check::required(&key, of, at, expected, report) else {
        return String::new();
    };
    check::name(&key, of, report);
    let found = name.get_ref();
    if RESERVED_NAMES.contains(&found.as_str()) {
        report.problem(name.span().start, Problem::ReservedName { found: found.clone() });
    }
    let mut names = before.iter().filter_map(|table| table.get_ref().0.name().value);
    if let Some(first) = names.find(|other| other.get_ref() == found) {
        let first_line = report.line(first.span().start);
        let found = shown(found);
        report.problem(name.span().start, Problem::DuplicateName { found, first_line });
    }
    found.clone()
}

fn default_output(table: &keys::Application, of: &str, report: &mut Report<'_>) -> String {
    let Key { name: key, kind: BoundedText(max), value } = table.default_output();
    let Some(text) = value else { return String::new() };
    let found = text.get_ref().len();
    if found > max {
        let of = of.to_owned();
        report.problem(text.span().start, Problem::TooLong { key, of, found, max });
        return String::new();
    }
    text.get_ref().clone()
}

/// `None` when the input is missing or wrong.
fn input(
    table: &keys::Application,
    of: &str,
    at: usize,
    report: &mut Report<'_>,
) -> Option<TensorSpec> {
    let expected = "an input, as in `input = { type = \"floats\", shape = [784] }`";
    let input = check::required(&table.input(), of, at, expected, report)?;
    let (at, Table(input)) = (input.span().start, input.get_ref());
    let of = format!("the input of {of}");
    let key = input.r#type();
    let types = check::one_of("", &key.kind).to_string();
    check::required(&key, &of, at, &types, report);
    let element = check::word(&key, &of, report);
    let (shape, bound) = (input.shape(), input.max_bytes());
    match (shape.value, bound.value) {
        (Some(shape), Some(_)) => {
            report.problem(shape.span().start, Problem::ShapeAndBound { of });
            None
        }
        (Some(shape), None) if element == Some(ElementType::String) => {
            report.problem(shape.span().start, Problem::ShapeOfStrings { of });
            None
        }
        (Some(_), None) => exact(element, &shape, &of, report),
        (None, written) => {
            let bytes = check::number(&bound, &of, report);
            let element = element?;
            let has_default = matches!(element, ElementType::Bytes | ElementType::String);
            if written.is_none() && !has_default {
                report.problem(at, Problem::NoExtent { of });
                return None;
            }
            let bytes = bytes.unwrap_or(INPUT_BYTES_DEFAULT);
            let whole = (bytes as usize).is_multiple_of(element.bytes());
            if let (false, Some(written)) = (whole, written) {
                let (found, element) = (bytes, element.bytes());
                report.problem(written.span().start, Problem::PartOfElement { of, found, element });
            }
            Some(TensorSpec::at_most(element, bytes))
        }
    }
}

fn exact(
    element: Option<ElementType>,
    key: &Key<'_, Numbers>,
    of: &str,
    report: &mut Report<'_>,
) -> Option<TensorSpec> {
    let dims = check::numbers(key, of, report)?;
    let (element, list) = (element?, key.value?);
    let spec = Shape::new(&dims).map(|shape| TensorSpec::exact(element, shape));
    let spec = spec.and_then(|spec| spec.check().map(|()| spec));
    let refused = |why| Problem::InputTooLarge { of: of.to_owned(), shape: dims, why };
    spec.map_err(|why| report.problem(list.span().start, refused(why))).ok()
}

/// Rows that are written down are taken at start, all of them.
fn configured_rows(
    table: &keys::Application,
    of: &str,
    input: &TensorSpec,
    report: &mut Report<'_>,
) -> Option<u32> {
    let key = table.rows();
    let found = check::number(&key, of, report)?;
    let judged = check::pool_within(of, found, row_stride(input));
    if let (Err(problem), Some(rows)) = (judged, key.value) {
        report.problem(rows.span().start, *problem);
    }
    Some(found)
}

struct Rows {
    in_all: u32,
    at_start: u32,
}

/// What is likely: many queries at a time, and inputs much smaller than their bound. An address
/// range is cheap, so there are many rows; pages are not, so only the first rows have theirs from
/// the start.
fn default_rows(input: &TensorSpec) -> Rows {
    let fitting = |bytes: u64| {
        let rows = bytes / row_stride(input) as u64;
        u32::try_from(rows).unwrap_or(POOL_ROWS_MAX).min(POOL_ROWS_MAX)
    };
    let in_all = fitting(POOL_BYTES_MAX).max(POOL_ROWS_MIN);
    Rows { in_all, at_start: fitting(POOL_BYTES_AT_START_MAX).clamp(1, in_all) }
}
