//! Numbers in brackets.

use cutter_tensor::limits::RANK_MAX;
use cutter_tensor::{ElementType, Extent, TensorSpec};
use serde::Serialize;

/// Arrays in arrays that are being written, as deep as there are dimensions.
#[derive(Clone, Debug)]
pub(super) struct Arrays {
    next: Next,
    /// The innermost array that is open; 0 is the outermost.
    level: usize,
    /// Entries written of each open array.
    written: [usize; RANK_MAX],
    /// Numbers written.
    cells: usize,
}

/// What is to be written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Output,
    /// An opening bracket.
    Open,
    /// An entry, or the closing bracket.
    Entry,
}

impl Arrays {
    pub(super) fn new() -> Self {
        Self { next: Next::Output, level: 0, written: [0; RANK_MAX], cells: 0 }
    }

    /// Goes on for about `budget_bytes`; true when all is written.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        spec: &TensorSpec,
        bytes: &[u8],
        budget_bytes: usize,
    ) -> bool {
        let full = out.len().saturating_add(budget_bytes.max(1));
        match spec.element {
            ElementType::Int32 => self.write_as(out, spec, bytes, full, i32::from_ne_bytes),
            ElementType::Float32 => self.write_as(out, spec, bytes, full, f32::from_ne_bytes),
            ElementType::Float64 => self.write_as(out, spec, bytes, full, f64::from_ne_bytes),
            ElementType::String | ElementType::Bytes => unreachable!("these are no numbers"),
        }
    }

    /// Writes until `out` has `full` bytes.
    fn write_as<const N: usize, T: Serialize>(
        &mut self,
        out: &mut Vec<u8>,
        spec: &TensorSpec,
        bytes: &[u8],
        full: usize,
        decode: impl Fn([u8; N]) -> T,
    ) -> bool {
        let (cells, _) = bytes.as_chunks::<N>();
        let (mut dims, mut rank) = ([0; RANK_MAX], 1);
        match &spec.extent {
            Extent::AtMost { .. } => dims[0] = cells.len(),
            Extent::Exact(shape) => {
                rank = shape.dims().len();
                dims.iter_mut().zip(shape.dims()).for_each(|(to, dim)| *to = *dim as usize);
            }
        }
        let Some(innermost) = rank.checked_sub(1) else {
            write_number(out, &decode(cells[0]));
            return true;
        };
        while out.len() < full {
            let level = self.level;
            match self.next {
                Next::Output | Next::Open => {
                    out.push(b'[');
                    self.written[level] = 0;
                    self.next = Next::Entry;
                }
                Next::Entry if self.written[level] == dims[level] => {
                    out.push(b']');
                    if level == 0 {
                        return true;
                    }
                    self.level -= 1;
                    self.written[self.level] += 1;
                }
                Next::Entry if level == innermost => {
                    let left = dims[level] - self.written[level];
                    let row = &cells[self.cells..self.cells + left];
                    let count = write_row(out, row, self.written[level] > 0, full, &decode);
                    self.written[level] += count;
                    self.cells += count;
                }
                Next::Entry => {
                    if self.written[level] > 0 {
                        out.push(b',');
                    }
                    self.level += 1;
                    self.next = Next::Open;
                }
            }
        }
        false
    }
}

/// Writes numbers until `out` has `full` bytes; how many.
fn write_row<const N: usize, T: Serialize>(
    out: &mut Vec<u8>,
    row: &[[u8; N]],
    mut has_before: bool,
    full: usize,
    decode: impl Fn([u8; N]) -> T,
) -> usize {
    for (at, cell) in row.iter().enumerate() {
        if out.len() >= full {
            return at;
        }
        if has_before {
            out.push(b',');
        }
        has_before = true;
        write_number(out, &decode(*cell));
    }
    row.len()
}

fn write_number(out: &mut Vec<u8>, number: &impl Serialize) {
    let written = serde_json::to_writer(out, number);
    debug_assert!(written.is_ok(), "numbers are JSON, and a Vec takes all bytes");
}
