//! Sets of the models that an application links, and numbers for each of them.

use crate::limits::LINKS_MAX;

/// A number for each linked model, in their order; those beyond the linked ones are 0.
pub type PerModel = [f64; LINKS_MAX];

/// A set of linked models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Models(u32);

const _: () = assert!(LINKS_MAX <= u32::BITS as usize);

impl Models {
    pub const NONE: Self = Self(0);

    /// The first so many: all, of an application that links so many.
    pub fn first(count: usize) -> Self {
        (0..count).collect()
    }

    /// One.
    pub fn only(model: usize) -> Self {
        assert!(model < LINKS_MAX);
        Self(1 << model)
    }

    #[must_use]
    pub fn with(self, model: usize) -> Self {
        Self(self.0 | Self::only(model).0)
    }

    #[must_use]
    pub fn without(self, model: usize) -> Self {
        Self(self.0 & !Self::only(model).0)
    }

    /// Those that are in both.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline]
    pub fn contains(self, model: usize) -> bool {
        model < LINKS_MAX && self.0 >> model & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// In their order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..LINKS_MAX).filter(move |model| self.contains(*model))
    }

    /// A number for each of these, and 0 for the others.
    pub(super) fn map(self, mut number: impl FnMut(usize) -> f64) -> PerModel {
        std::array::from_fn(|model| if self.contains(model) { number(model) } else { 0.0 })
    }

    /// The propensities of those that are asked for certain.
    pub fn certain(self) -> PerModel {
        self.map(|_| 1.0)
    }

    /// One part in so many for each of these.
    pub(super) fn equal_shares(self) -> PerModel {
        let share = 1.0 / self.len() as f64;
        self.map(|_| share)
    }

    /// Numbers of which none is below 0, as parts of their sum over these; equal parts when the sum
    /// is 0.
    pub(super) fn shares(self, numbers: &PerModel) -> PerModel {
        let sum: f64 = self.iter().map(|model| numbers[model]).sum();
        if sum > 0.0 { self.map(|model| numbers[model] / sum) } else { self.equal_shares() }
    }

    /// The one with the most; the first of several.
    pub(super) fn most(self, number: impl Fn(usize) -> f64) -> Option<usize> {
        let better =
            |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
        self.iter().map(|model| (model, number(model))).reduce(better).map(|(model, _)| model)
    }
}

impl FromIterator<usize> for Models {
    fn from_iter<T: IntoIterator<Item = usize>>(models: T) -> Self {
        models.into_iter().fold(Self::default(), Self::with)
    }
}
