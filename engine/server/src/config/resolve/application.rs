//! `[[application]]`: names, inputs, objectives and pools.

use cutter_tensor::limits::{ITEM_BYTES_MAX, RANK_MAX};
use cutter_tensor::{ElementType, Shape, TensorSpec};
use toml::Spanned;

use super::check;
use super::links::{Known, Linking, Links};
use crate::config::error::{OneOf, Problem};
use crate::config::file::{self, List, Table, Whole};
use crate::config::report::{Report, shown};
use crate::config::settings::{Application, row_stride};
use crate::limits::{
    DEFAULT_OUTPUT_BYTES_MAX, INPUT_BYTES_DEFAULT, INPUT_BYTES_MAX, POOL_BYTES_AT_START_MAX,
    POOL_BYTES_CONFIGURED_MAX, POOL_BYTES_MAX, POOL_ROWS_MAX, POOL_ROWS_MIN, SLO_US_DEFAULT,
    SLO_US_MAX, SLO_US_MIN,
};

/// Names under which the server itself answers.
const RESERVED_NAMES: [&str; 5] = ["admin", "healthz", "metrics", "readyz", "v2"];

/// The words for the element types. The first of each is the one that messages show.
const TYPE_WORDS: [(ElementType, [&str; 3]); 5] = [
    (ElementType::Bytes, ["bytes", "byte", "b"]),
    (ElementType::Int32, ["integers", "integer", "i"]),
    (ElementType::Float32, ["floats", "float", "f"]),
    (ElementType::Float64, ["doubles", "double", "d"]),
    (ElementType::String, ["strings", "string", "s"]),
];

/// Stands in for an input that is wrong, until the report ends the start.
const INPUT_STAND_IN: TensorSpec = TensorSpec::at_most(ElementType::Bytes, INPUT_BYTES_DEFAULT);

pub(super) fn resolve_all(
    tables: &[Spanned<Table<file::Application>>],
    known: &Known<'_>,
    report: &mut Report<'_>,
) -> Vec<Application> {
    let mut applications = Vec::new();
    let mut links = Links::new(known);
    for (index, table) in tables.iter().enumerate() {
        let (at, table) = (table.span().start, &table.get_ref().0);
        let written = table.name.as_ref().map(|name| name.get_ref().as_str());
        let of = check::owner("application", written, index);
        let name = name(table, &of, at, &tables[..index], report);
        let input = input(table, &of, at, report);
        let linking = Linking { of: &of, name: &name, input, at };
        let models = links.resolve(table.models.as_ref(), &linking, report);
        let input = input.unwrap_or(INPUT_STAND_IN);
        let slo = table.slo_us.as_ref();
        let slo_us = check::integer("slo_us", &of, slo, SLO_US_MIN..=SLO_US_MAX, report);
        let default_output = default_output(table, &of, report);
        let configured = configured_rows(table, &of, &input, report);
        let default = default_rows(&input);
        applications.push(Application {
            name,
            input,
            slo_ns: u64::from(slo_us.unwrap_or(SLO_US_DEFAULT)) * 1_000,
            default_output,
            models,
            rows: configured.unwrap_or(default.in_all),
            rows_at_start: configured.unwrap_or(default.at_start),
            json_output: table.json_output.unwrap_or(false),
        });
    }
    applications
}

fn name(
    table: &file::Application,
    of: &str,
    at: usize,
    before: &[Spanned<Table<file::Application>>],
    report: &mut Report<'_>,
) -> String {
    let Some(name) = &table.name else {
        let expected = "a name, as in `name = \"digits\"`";
        report.problem(at, Problem::Missing { key: "name", of: of.to_owned(), expected });
        return String::new();
    };
    check::label("name", of, name, false, report);
    let found = name.get_ref();
    if RESERVED_NAMES.contains(&found.as_str()) {
        report.problem(name.span().start, Problem::ReservedName { found: found.clone() });
    }
    let namesakes = before.iter().filter_map(|table| table.get_ref().0.name.as_ref());
    if let Some(first) = namesakes.into_iter().find(|other| other.get_ref() == found) {
        let first_line = report.line(first.span().start);
        let found = shown(found);
        report.problem(name.span().start, Problem::DuplicateName { found, first_line });
    }
    found.clone()
}

fn default_output(table: &file::Application, of: &str, report: &mut Report<'_>) -> String {
    let Some(text) = &table.default_output else { return String::new() };
    let (found, max) = (text.get_ref().len(), DEFAULT_OUTPUT_BYTES_MAX);
    if found > max {
        let (key, of) = ("default_output", of.to_owned());
        report.problem(text.span().start, Problem::TooLong { key, of, found, max });
        return String::new();
    }
    text.get_ref().clone()
}

/// `None` when the input is missing or wrong.
fn input(
    table: &file::Application,
    of: &str,
    at: usize,
    report: &mut Report<'_>,
) -> Option<TensorSpec> {
    let Some(input) = &table.input else {
        let expected = "an input, as in `input = { type = \"floats\", shape = [784] }`";
        report.problem(at, Problem::Missing { key: "input", of: of.to_owned(), expected });
        return None;
    };
    let (at, input) = (input.span().start, &input.get_ref().0);
    let of = format!("the input of {of}");
    let element = element(input, &of, at, report);
    match (&input.shape, &input.max_bytes) {
        (Some(shape), Some(_)) => {
            report.problem(shape.span().start, Problem::ShapeAndBound { of });
            None
        }
        (Some(shape), None) if element == Some(ElementType::String) => {
            report.problem(shape.span().start, Problem::ShapeOfStrings { of });
            None
        }
        (Some(shape), None) => exact(element, shape, &of, report),
        (None, bound) => {
            let range = 1..=INPUT_BYTES_MAX;
            let bytes = check::integer("max_bytes", &of, bound.as_ref(), range, report);
            let element = element?;
            let has_default = matches!(element, ElementType::Bytes | ElementType::String);
            if bound.is_none() && !has_default {
                report.problem(at, Problem::NoExtent { of });
                return None;
            }
            let bytes = bytes.unwrap_or(INPUT_BYTES_DEFAULT);
            let whole = (bytes as usize).is_multiple_of(element.bytes());
            if let (false, Some(bound)) = (whole, bound) {
                let (found, element) = (bytes, element.bytes());
                report.problem(bound.span().start, Problem::PartOfElement { of, found, element });
            }
            Some(TensorSpec::at_most(element, bytes))
        }
    }
}

fn element(
    input: &file::Input,
    of: &str,
    at: usize,
    report: &mut Report<'_>,
) -> Option<ElementType> {
    let Some(word) = &input.r#type else {
        let (key, of) = ("type", of.to_owned());
        let expected = "one of: bytes, integers, floats, doubles, strings";
        report.problem(at, Problem::Missing { key, of, expected });
        return None;
    };
    let found = word.get_ref().as_str();
    let known = TYPE_WORDS.iter().find(|(_, words)| words.contains(&found));
    if known.is_none() {
        let names = TYPE_WORDS.map(|(_, [name, ..])| name);
        let expected = OneOf::new(found, &names);
        let (key, of, found) = ("type", of.to_owned(), shown(found));
        report.problem(word.span().start, Problem::UnknownWord { key, of, found, expected });
    }
    known.map(|(element, _)| *element)
}

fn exact(
    element: Option<ElementType>,
    list: &Spanned<List<Whole>>,
    of: &str,
    report: &mut Report<'_>,
) -> Option<TensorSpec> {
    let dims = check::integers("shape", of, list, 1..=RANK_MAX, 1..=u32::MAX, report)?;
    let element = element?;
    // The product of the dimensions fits, or there is no shape.
    let spec = Shape::new(&dims).ok().map(|shape| TensorSpec::exact(element, shape));
    let spec = spec.filter(TensorSpec::is_within_limits);
    if spec.is_none() {
        let (of, element, max) = (of.to_owned(), element.bytes(), ITEM_BYTES_MAX);
        let problem = Problem::InputTooLarge { of, shape: dims, element, max };
        report.problem(list.span().start, problem);
    }
    spec
}

/// Rows that are written down are taken at start, all of them.
fn configured_rows(
    table: &file::Application,
    of: &str,
    input: &TensorSpec,
    report: &mut Report<'_>,
) -> Option<u32> {
    let stride = row_stride(input);
    let range = POOL_ROWS_MIN..=POOL_ROWS_MAX;
    let found = check::integer("rows", of, table.rows.as_ref(), range, report)?;
    let (bytes, max) = (u64::from(found) * stride as u64, POOL_BYTES_CONFIGURED_MAX);
    if let (true, Some(rows)) = (bytes > max, &table.rows) {
        let (of, rows_max) = (of.to_owned(), max / stride as u64);
        let problem = Problem::PoolTooLarge { of, found, stride, bytes, rows_max, max };
        report.problem(rows.span().start, problem);
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
