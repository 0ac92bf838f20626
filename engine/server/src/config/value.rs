//! The values of the file as they were written: any integer, tables, and lists whose items keep
//! their places.
//!
//! Serde refuses wrong types, in words that name what was expected. Everything that needs a second
//! look (ranges, names, words, links) is kept together with its place, so that `resolve` can report
//! all of it at once.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

pub(super) type Text = Spanned<String>;
pub(super) type Integer = Spanned<Whole>;
pub(super) type Float = Spanned<Real>;

/// Any integer that TOML can write; ranges are checked later, so that all are reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(pub i128);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i128(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E>(self, value: i64) -> Result<Whole, E> {
        Ok(Whole(i128::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Whole, E> {
        Ok(Whole(i128::from(value)))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Whole, E> {
        Ok(Whole(value))
    }
}

/// Any number, whole ones too; NaN and infinities are among what TOML can write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Real(pub f64);

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(RealVisitor)
    }
}

struct RealVisitor;

impl Visitor<'_> for RealVisitor {
    type Value = Real;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Real, E> {
        Ok(Real(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Real, E> {
        Ok(Real(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Real, E> {
        Ok(Real(value as f64))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Real, E> {
        Ok(Real(value as f64))
    }
}

/// A number, or a word that stands for one.
#[derive(Debug)]
pub(super) enum RealOrText {
    Real(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for RealOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RealOrTextVisitor)
    }
}

struct RealOrTextVisitor;

impl Visitor<'_> for RealOrTextVisitor {
    type Value = RealOrText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or string")
    }

    fn visit_f64<E>(self, value: f64) -> Result<RealOrText, E> {
        Ok(RealOrText::Real(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RealOrText, E> {
        Ok(RealOrText::Real(value as f64))
    }

    fn visit_str<E>(self, value: &str) -> Result<RealOrText, E> {
        Ok(RealOrText::Text(value.to_owned()))
    }
}

/// Numbers by names that are the author's own, in the order of the file.
#[derive(Debug)]
pub(super) struct Named(pub Vec<(Text, Float)>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor)
    }
}

struct NamedVisitor;

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Named, A::Error> {
        let mut named = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            named.push(entry);
        }
        Ok(Named(named))
    }
}

/// A table and nothing else: a derived struct alone would also take a list of its fields' values.
#[derive(Debug, Default)]
pub(super) struct Table<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Table)
    }
}

/// A list whose items keep their places, and which names its items when something else is found.
#[derive(Debug)]
pub(super) struct List<T>(pub Vec<Spanned<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What a list of such items is called in a message.
trait Item {
    const LIST: &'static str;
}

impl Item for String {
    const LIST: &'static str = "a list of strings";
}

impl Item for Whole {
    const LIST: &'static str = "a list of integers";
}

impl Item for Real {
    const LIST: &'static str = "a list of numbers";
}

impl<T> Item for Table<T> {
    const LIST: &'static str = "a list of tables (a header in double brackets)";
}

impl<'de, T: Item + Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Item + Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }
}
