//! Numbers in any of the forms that a shape allows: bare, in one array, or in arrays in arrays.
//!
//! The loop over the numbers of one array is where bodies spend their time. It gives up at whatever
//! it does not expect, the end of a piece of the body too, and stands then before the number that
//! it began last. That one is looked at closely: it may be wrong, cut, or too long for any piece.

use cutter_tensor::limits::RANK_MAX;
use cutter_tensor::{ElementType, Extent, TensorSpec};

use super::cursor::{Cursor, Stop};
use super::error::{Excerpt, JsonError, Place, Position, Unit};
use super::literal::{self, LongLiteral};
use super::number::{self, Element, Float32, Float64, Int32, Unfit};
use super::plain;
use super::skip::Skip;

/// What is expected of an array, in errors.
const ARRAY: &str = "an array of numbers";
const NEXT: &str = "',' or ']'";
/// The most numbers that are read before plain ones are looked for again.
const OTHERS_MAX: usize = 64;

/// Which input the numbers are of, for errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) spec: &'a TensorSpec,
    pub(super) place: Place,
    /// Arrays and objects that are open around the input.
    pub(super) depth: usize,
}

/// The numbers of one input, as far as they were read.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    next: Next,
    /// How deep arrays go: 0 for a bare number, 1 for a flat array, else the rank of the shape.
    levels: usize,
    /// The innermost array that is open; 0 is the outermost.
    level: usize,
    /// Entries found in each open array.
    found: [usize; RANK_MAX],
    /// Where each open array begins.
    starts: [usize; RANK_MAX],
    /// Elements before the innermost array, or all of them at the end.
    elements: usize,
    literal: LongLiteral,
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Input,
    /// A number that is looked at closely.
    One,
    /// An array's first entry, or its end.
    First,
    /// An entry that is an array.
    Array,
    /// Entries that are numbers, up to the end of their array.
    Numbers,
    /// Nothing: its end was read.
    End,
    /// The rest of a long number.
    Long,
    /// An entry beyond the shape, which is only counted.
    Surplus,
    /// A comma, or an array's end.
    More,
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self {
            next: Next::Input,
            levels: 0,
            level: 0,
            found: [0; RANK_MAX],
            starts: [0; RANK_MAX],
            elements: 0,
            literal: LongLiteral::new(0),
        }
    }

    /// Another input comes.
    pub(super) fn restart(&mut self) {
        self.next = Next::Input;
        self.elements = 0;
    }

    /// Reads an input into its row; gives the bytes that it takes there. `surplus` is for what is
    /// beyond the shape.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        row: &mut [u8],
        asked: &Asked<'_>,
        surplus: &mut Skip,
    ) -> Result<usize, Stop> {
        match asked.spec.element {
            ElementType::Int32 => self.read_as::<4, Int32>(cursor, row, asked, surplus),
            ElementType::Float32 => self.read_as::<4, Float32>(cursor, row, asked, surplus),
            ElementType::Float64 => self.read_as::<8, Float64>(cursor, row, asked, surplus),
            ElementType::String | ElementType::Bytes => unreachable!("these are no numbers"),
        }
    }

    fn read_as<const N: usize, E: Element<N>>(
        &mut self,
        cursor: &mut Cursor<'_>,
        row: &mut [u8],
        asked: &Asked<'_>,
        surplus: &mut Skip,
    ) -> Result<usize, Stop> {
        let (cells, _) = row.as_chunks_mut::<N>();
        if self.next == Next::Input
            && let Some(elements) = self.begin_quickly::<N, E>(cursor, cells, asked)
        {
            return Ok(elements * N);
        }
        loop {
            let next = self.next;
            let is_done = match next {
                Next::Input => self.begin(cursor, asked)?,
                Next::One => self.one::<N, E>(cursor, cells, asked)?,
                Next::First if cursor.closes(b']')? => self.close::<N>(asked)?,
                Next::First => self.first(cursor, asked, surplus),
                Next::Array => {
                    cursor.expect(b'[', ARRAY)?;
                    self.open(self.level + 1, cursor);
                    if self.level + 1 == self.levels && begins_number(cursor) {
                        self.next = Next::Numbers;
                    }
                    false
                }
                Next::Numbers => {
                    let (_, cells) = self.innermost(cells, asked);
                    if run::<N, E>(cursor, cells, &mut self.found[self.level]) {
                        self.close::<N>(asked)?
                    } else {
                        self.next = Next::One;
                        false
                    }
                }
                Next::End => self.close::<N>(asked)?,
                Next::Long => self.long::<N, E>(cursor, cells, asked)?,
                Next::Surplus => {
                    surplus.read(cursor)?;
                    self.count()
                }
                Next::More if cursor.more(b']', NEXT)? => self.entry(asked, surplus),
                Next::More => self.close::<N>(asked)?,
            };
            if is_done {
                return Ok(self.elements * N);
            }
        }
    }

    /// What nearly all inputs are: one number, or one array of them, with nothing to look at
    /// closely. Gives the elements if it is all of that. If not, what was read stays read.
    #[inline(always)]
    fn begin_quickly<const N: usize, E: Element<N>>(
        &mut self,
        cursor: &mut Cursor<'_>,
        cells: &mut [[u8; N]],
        asked: &Asked<'_>,
    ) -> Option<usize> {
        let mut ahead = cursor.of_piece();
        ahead.skip_space();
        if asked.dims().is_empty() && asked.is_exact() {
            let literal = number::scan(&mut ahead);
            let element = E::quick(&literal).filter(|_| literal.expected.is_none())?;
            if cursor.is_cut_at(ahead.at()) {
                return None;
            }
            *cells.first_mut()? = element;
            cursor.move_to(ahead.at());
            return Some(1);
        }
        if !ahead.take(b'[') {
            return None;
        }
        let start = ahead.at() - 1;
        if !begins_number(&mut ahead) {
            return None;
        }
        cursor.move_to(ahead.at());
        let mut found = 0;
        let is_closed = run::<N, E>(cursor, cells, &mut found);
        if is_closed && asked.spec.admits_bytes(found * N) {
            return Some(found);
        }
        (self.levels, self.level) = (1, 0);
        (self.found[0], self.starts[0]) = (found, start);
        self.next = if is_closed { Next::End } else { Next::One };
        None
    }

    /// The first byte of an input tells whether it is a bare number. This and all that follow say
    /// whether the input is done.
    fn begin(&mut self, cursor: &mut Cursor<'_>, asked: &Asked<'_>) -> Result<bool, Stop> {
        let is_scalar =
            matches!(&asked.spec.extent, Extent::Exact(shape) if shape.dims().is_empty());
        cursor.skip_space();
        if cursor.is_at_cut() {
            return Err(Stop::Cut);
        }
        if is_scalar && cursor.peek() != Some(b'[') {
            self.levels = 0;
            self.next = Next::One;
            return Ok(false);
        }
        cursor.expect(b'[', ARRAY)?;
        self.levels = 1;
        Ok(self.open(0, cursor))
    }

    /// Behind the opening bracket of an array.
    fn open(&mut self, level: usize, cursor: &Cursor<'_>) -> bool {
        self.level = level;
        self.found[level] = 0;
        self.starts[level] = cursor.at() - 1;
        self.next = Next::First;
        false
    }

    /// At the first entry of an array; that of the outermost tells whether arrays are nested.
    fn first(&mut self, cursor: &Cursor<'_>, asked: &Asked<'_>, surplus: &mut Skip) -> bool {
        let rank = asked.dims().len();
        if self.level == 0 && rank >= 2 && cursor.peek() == Some(b'[') {
            self.levels = rank;
        }
        self.entry(asked, surplus)
    }

    /// At an entry.
    fn entry(&mut self, asked: &Asked<'_>, surplus: &mut Skip) -> bool {
        self.next = if self.level + 1 == self.levels {
            Next::Numbers
        } else if self.found[self.level] < asked.dims()[self.level] as usize {
            Next::Array
        } else {
            *surplus = Skip::new(asked.depth + self.level + 1);
            Next::Surplus
        };
        false
    }

    /// Behind an entry.
    fn count(&mut self) -> bool {
        self.found[self.level] += 1;
        self.next = Next::More;
        false
    }

    /// Behind the end of an array.
    fn close<const N: usize>(&mut self, asked: &Asked<'_>) -> Result<bool, Stop> {
        let found = self.found[self.level];
        if self.levels == 1 {
            self.elements = found;
            let exact = matches!(asked.spec.extent, Extent::Exact(_));
            let unit = if exact { Unit::Numbers } else { Unit::NumbersOf { bytes: N } };
            asked.check_length(found * N, found, unit)?;
            return Ok(true);
        }
        let wanted = asked.dims()[self.level];
        if found != wanted as usize {
            return Err(Stop::Wrong(JsonError::Dimension {
                position: Position::unlocated(self.starts[self.level]),
                place: asked.place,
                dimension: self.level + 1,
                found,
                wanted,
                spec: *asked.spec,
            }));
        }
        if self.level + 1 == self.levels {
            self.elements += found;
        }
        if self.level == 0 {
            return Ok(true);
        }
        self.level -= 1;
        Ok(self.count())
    }

    /// One number, of which anything may be wrong, or which may be cut.
    fn one<const N: usize, E: Element<N>>(
        &mut self,
        cursor: &mut Cursor<'_>,
        cells: &mut [[u8; N]],
        asked: &Asked<'_>,
    ) -> Result<bool, Stop> {
        cursor.skip_space();
        let start = cursor.at();
        let mut ahead = *cursor;
        let literal = number::scan(&mut ahead);
        if ahead.is_at_cut() {
            // It may go on behind this piece. If it is too long for any, it is read in pieces.
            if !cursor.is_long_since(start) {
                return Err(Stop::Cut);
            }
            self.literal = LongLiteral::new(start);
            self.next = Next::Long;
            return Ok(false);
        }
        if let Some(expected) = literal.expected {
            return Err(ahead.syntax(expected));
        }
        *cursor = ahead;
        let text = cursor.slice(start, cursor.at());
        let element = E::quick(&literal).map_or_else(|| literal::element::<N, E>(text), Ok);
        self.put(element, start, text, cells, asked)
    }

    fn long<const N: usize, E: Element<N>>(
        &mut self,
        cursor: &mut Cursor<'_>,
        cells: &mut [[u8; N]],
        asked: &Asked<'_>,
    ) -> Result<bool, Stop> {
        self.literal.read(cursor)?;
        let start = self.literal.start;
        let element = self.literal.element::<N, E>(cursor.seen());
        self.put(element, start, cursor.slice(start, cursor.at()), cells, asked)
    }

    /// Behind the number `text`, which stands at `start`.
    fn put<const N: usize>(
        &mut self,
        element: Result<[u8; N], Unfit>,
        start: usize,
        text: &[u8],
        cells: &mut [[u8; N]],
        asked: &Asked<'_>,
    ) -> Result<bool, Stop> {
        let is_bare = self.levels == 0;
        let count = if is_bare { 0 } else { self.found[self.level] };
        let (first, cells) = self.innermost(cells, asked);
        let element = element.map_err(|unfit| asked.unfit(unfit, start, text, first + count))?;
        if let Some(cell) = cells.get_mut(count) {
            *cell = element;
        }
        if is_bare {
            self.elements = 1;
            return Ok(true);
        }
        Ok(self.count())
    }

    /// The cells of the innermost array, and which element the first of them is.
    fn innermost<'c, const N: usize>(
        &self,
        cells: &'c mut [[u8; N]],
        asked: &Asked<'_>,
    ) -> (usize, &'c mut [[u8; N]]) {
        let first = self.elements;
        if self.levels <= 1 {
            return (first, cells);
        }
        let wanted = asked.dims().last().map_or(0, |dim| *dim as usize);
        (first, &mut cells[first..first + wanted])
    }
}

impl Asked<'_> {
    /// The dimensions of an exact shape.
    fn dims(&self) -> &[u32] {
        match &self.spec.extent {
            Extent::Exact(shape) => shape.dims(),
            Extent::AtMost { .. } => &[],
        }
    }

    fn is_exact(&self) -> bool {
        matches!(self.spec.extent, Extent::Exact(_))
    }

    pub(super) fn check_length(&self, bytes: usize, found: usize, unit: Unit) -> Result<(), Stop> {
        if self.spec.admits_bytes(bytes) {
            return Ok(());
        }
        let (place, spec) = (self.place, *self.spec);
        Err(Stop::Wrong(JsonError::Length { place, found, unit, spec }))
    }

    #[cold]
    fn unfit(&self, unfit: Unfit, start: usize, literal: &[u8], index: usize) -> Stop {
        let position = Position::unlocated(start);
        let (place, spec, literal) = (self.place, *self.spec, Excerpt::of(literal));
        Stop::Wrong(match unfit {
            Unfit::NotInteger => JsonError::NotInteger { position, place, index, literal, spec },
            Unfit::OutOfRange => {
                let element = spec.element;
                JsonError::OutOfRange { position, place, index, literal, element }
            }
        })
    }
}

/// What became of a run of numbers.
enum Run {
    /// The array was closed.
    Closed,
    /// A number, or what is behind it, needs a closer look. The cursor stands before it.
    Stopped,
    /// As many as were asked for were read.
    GoesOn,
}

/// Reads numbers up to the end of their array, and counts them; false if one of them, or what is
/// behind it, needs a closer look. Then the cursor stands before that number. Numbers beyond the
/// cells are checked and counted, and go nowhere.
fn run<const N: usize, E: Element<N>>(
    cursor: &mut Cursor<'_>,
    cells: &mut [[u8; N]],
    counted: &mut usize,
) -> bool {
    let mut others = 1;
    loop {
        let left = cells.get_mut(*counted..).unwrap_or_default();
        let (count, bytes) = plain::read::<N, E>(cursor.rest(), left);
        cursor.advance(bytes);
        *counted += count;
        // Where few are plain, looking for them is what takes the time.
        others = if count >= others { 1 } else { OTHERS_MAX.min(2 * others) };
        match run_others::<N, E>(cursor, cells, counted, others) {
            Run::Closed => return true,
            Run::Stopped => return false,
            Run::GoesOn => {}
        }
    }
}

/// Reads so many numbers, of any kind.
///
/// A function of its own, which makes no errors and remembers no beginnings, so that all it knows
/// lives in registers.
#[inline(never)]
fn run_others<const N: usize, E: Element<N>>(
    cursor: &mut Cursor<'_>,
    cells: &mut [[u8; N]],
    counted: &mut usize,
    limit: usize,
) -> Run {
    let (total, before) = (cells.len(), *counted);
    let mut left = cells.get_mut(before..).unwrap_or_default().iter_mut();
    let mut surplus = before.saturating_sub(total);
    let mut ahead = cursor.of_piece();
    let mut to_read = limit;
    let run = loop {
        if to_read == 0 {
            break Run::GoesOn;
        }
        to_read -= 1;
        ahead.skip_space();
        let literal = number::scan(&mut ahead);
        if literal.expected.is_some() {
            break Run::Stopped;
        }
        let element = match E::quick(&literal) {
            Some(element) => element,
            None => match slow_number::<N, E>(cursor, ahead.at()) {
                Some(element) => element,
                None => break Run::Stopped,
            },
        };
        ahead.skip_space();
        let is_closed = match ahead.peek() {
            Some(b',') => false,
            Some(b']') => true,
            _ => break Run::Stopped,
        };
        ahead.advance(1);
        match left.next() {
            Some(cell) => *cell = element,
            None => surplus += 1,
        }
        if is_closed {
            break Run::Closed;
        }
    };
    *counted = total - left.len() + surplus;
    match run {
        Run::Closed | Run::GoesOn => cursor.move_to(ahead.at()),
        Run::Stopped => {
            let read = cursor.slice(cursor.at(), ahead.at());
            cursor.advance(read.iter().rposition(|byte| *byte == b',').map_or(0, |at| at + 1));
            cursor.skip_space();
        }
    }
    run
}

/// Whether a number comes next, behind space.
#[inline(always)]
fn begins_number(cursor: &mut Cursor<'_>) -> bool {
    cursor.skip_space();
    matches!(cursor.peek(), Some(b'0'..=b'9' | b'-'))
}

/// The number that ends at `end`, unless it is wrong or cut.
#[cold]
fn slow_number<const N: usize, E: Element<N>>(cursor: &Cursor<'_>, end: usize) -> Option<[u8; N]> {
    let read = cursor.slice(cursor.at(), end);
    let is_outside = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let start = read.iter().rposition(is_outside).map_or(0, |at| at + 1);
    if cursor.is_cut_at(end) { None } else { literal::element::<N, E>(&read[start..]).ok() }
}
