//! What a key may hold: the type of its value, and the bounds that `resolve` checks and that
//! `engine/CONFIGURATION.md` names.

#[cfg(test)]
use std::fmt::Display;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use toml::Spanned;

use super::value::{Float, Integer, List, Named, Real, RealOrText, Table, Text, Whole};

/// One key of one table of the file.
#[derive(Debug)]
pub(super) struct Key<'a, K: Kind> {
    pub name: &'static str,
    pub kind: K,
    /// What was written; `None` when the key is absent.
    pub value: Option<&'a K::Value>,
}

pub(super) trait Kind {
    type Value;

    /// The type and the bounds in words, as the document has them.
    #[cfg(test)]
    fn words(&self) -> (&'static str, String);
}

/// Each kind with its bounds and how its value is read; its type and its bounds in words.
macro_rules! kinds {
    ($(
        $(#[doc = $about:literal])*
        $kind:ident $(<$of:ident>)? ($($bound:ty),*) of $value:ty;
        $type:literal, |$it:pat_param| $range:expr;
    )*) => { $(
        $(#[doc = $about])*
        #[derive(Debug)]
        pub(super) struct $kind $(<$of: 'static>)? ($(pub $bound),*);

        impl $(<$of: 'static>)? Kind for $kind $(<$of>)? {
            type Value = $value;

            #[cfg(test)]
            fn words(&self) -> (&'static str, String) {
                let $it = self;
                ($type, $range.into())
            }
        }
    )* };
}

kinds! {
    /// An integer within a range.
    Number(RangeInclusive<u32>) of Integer;
    "integer", |it| between(&it.0);

    /// An integer within a range that `u32` does not hold.
    Large(RangeInclusive<u64>) of Integer;
    "integer", |it| between(&it.0);

    /// A number between two, both included.
    Decimal(f64, f64) of Float;
    "number", |it| format!("{} to {}", it.0, it.1);

    /// So many numbers, each between two.
    Decimals(RangeInclusive<usize>, f64, f64) of Spanned<List<Real>>;
    "list of numbers", |it| format!("{} items of {} to {}", between(&it.0), it.1, it.2);

    /// A number that is bounded elsewhere, or this word.
    DecimalOr(&'static str) of Spanned<RealOrText>;
    "number or string", |it| format!("`{}`, or a number", it.0);

    /// So many numbers at most, by names that the file chooses, each between two.
    ByName(usize, f64, f64) of Spanned<Named>;
    "table of numbers", |it| format!("at most {} of {} to {}", it.0, it.1, it.2);

    /// So many integers, each within a range.
    Numbers(RangeInclusive<usize>, RangeInclusive<u32>) of Spanned<List<Whole>>;
    "list of integers", |it| format!("{} items of {}", between(&it.0), each(&it.1));

    /// So many texts.
    Texts(RangeInclusive<usize>) of Spanned<List<String>>;
    "list of strings", |it| between(&it.0);

    /// A text of at most so many bytes.
    BoundedText(usize) of Text;
    "string", |it| format!("at most {} bytes", it.0);

    /// The path of a Unix socket, of at most so many bytes when it is absolute.
    SocketPath(usize) of Text;
    "string", |it| format!("a path, at most {} bytes as an absolute path", it.0);

    /// A text of a form, which is told in words.
    Form(&'static str) of Text;
    "string", |it| it.0;

    /// A name, as the document has it under Names, with the marks that may stand within.
    Name(&'static str) of Text;
    "string", |it| if it.0.contains('.') { "see Names; dots are allowed too" } else { "see Names" };

    /// One of some words. Those that stand together mean the same; the first of them is shown.
    Word<T>(&'static [(&'static [&'static str], T)]) of Text;
    "string", |it| it.0.iter().map(|(words, _)| format!("`{}`", words[0]))
        .collect::<Vec<_>>().join(", ");

    /// `true` or `false`.
    Flag() of bool;
    "boolean", |_| "";

    /// A table within the table.
    Nested<T>(PhantomData<T>) of Spanned<Table<T>>;
    "table", |_| "see below";
}

#[cfg(test)]
fn between(range: &RangeInclusive<impl Display + PartialEq>) -> String {
    let (start, end) = (range.start(), range.end());
    if start == end { start.to_string() } else { format!("{start} to {end}") }
}

/// The same of what has no bound of its own.
#[cfg(test)]
fn each(range: &RangeInclusive<u32>) -> String {
    let is_unbounded = *range.end() == u32::MAX;
    if is_unbounded { format!("at least {}", range.start()) } else { between(range) }
}
