//! `cutter check`: the resolved configuration, every limit, every sum, and what the machine lacks.
//!
//! ```text
//!   Config ──▶ resolved ─┐
//!   TABLE of each crate ─┤
//!   limits::sums ────────┼─▶ one text, the same for the same configuration and machine
//!   Machine ──▶ warnings ┘
//! ```
//!
//! Nothing is listed by hand here: limits come from the tables beside the constants, sums from
//! [`cutter_server::limits::sums`]. `cutter serve` logs the same warnings at its start. Only
//! [`Machine::look`] looks at the machine; all else is pure.

mod figures;
mod machine;
mod resolved;
mod warnings;

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Write};
use std::path::Path;

use cutter_limits::Limit;
use cutter_server::config::Config;
use cutter_server::limits::{self, sums};
use cutter_server::printable;

use figures::Figure;

pub use machine::{DescriptorLimit, Folder, Machine};
pub use warnings::{Warning, warnings};

/// The limits of everything that a server is made of.
const TABLES: [&[Limit]; 7] = [
    cutter_wire::limits::TABLE,
    cutter_core::limits::TABLE,
    limits::TABLE,
    crate::limits::TABLE,
    cutter_tensor::limits::TABLE,
    cutter_protocol::limits::TABLE,
    cutter_machine::limits::TABLE,
];

/// What `cutter check` prints of a file on a machine.
pub fn report(path: &Path, machine: &Machine) -> Result<String, String> {
    let (config, notices) = Config::load(path).map_err(|errors| errors.to_string())?;
    let mut told: Vec<String> = notices.iter().map(ToString::to_string).collect();
    told.extend(warnings(&config, machine).iter().map(ToString::to_string));
    let mut text = String::new();
    print(&config, &told, &mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Writes all of it; `warnings` are printed at the end, where they are seen.
pub fn print(config: &Config, warnings: &[impl Display], out: &mut impl Write) -> fmt::Result {
    resolved::print(config, out)?;
    print_limits(out)?;
    print_sums(config, out)?;
    match warnings.len() {
        0 => writeln!(out, "\nno warnings")?,
        1 => writeln!(out, "\n1 warning")?,
        count => writeln!(out, "\n{count} warnings")?,
    }
    // A path in a warning must not move the cursor of who reads it.
    warnings
        .iter()
        .try_for_each(|warning| writeln!(out, "  {}", printable::line(&warning.to_string())))
}

fn print_limits(out: &mut impl Write) -> fmt::Result {
    let mut section = "";
    for limit in TABLES.iter().flat_map(|table| table.iter()) {
        if limit.section != section {
            section = limit.section;
            writeln!(out, "\nlimits: {section}")?;
        }
        let figure = Figure::of_limit(limit).to_string();
        writeln!(out, "  {:<34}{figure:<36}{}", limit.name, limit.note)?;
    }
    Ok(())
}

fn print_sums(config: &Config, out: &mut impl Write) -> fmt::Result {
    for sum in sums::all(config) {
        writeln!(out, "\nsum: {} = {}", sum.resource, Figure::whole(sum.total(), sum.unit))?;
        for holder in &sum.holders {
            let (count, each) = (holder.count, holder.each);
            writeln!(out, "  {:<40}{count} x {each} = {}", holder.name, holder.total())?;
        }
    }
    Ok(())
}
