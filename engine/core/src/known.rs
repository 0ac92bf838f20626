//! The short way: a query whose prediction is known is answered as it comes, without a row, a call
//! and a deadline.
//!
//! A query goes it where it asks nothing but what one model says of an input ([`Core::known`] has
//! the conditions, all of them) and whoever asks has seen that input before: the entry of the
//! model's cache that it found then leads to the output, and nothing is hashed, compared or copied.
//! An entry has one input as long as it is there, and is there no longer than its model version; so
//! that what was equal byte by byte when it was found still is.
//!
//! What is told and what is counted is what it would be on the long way: both ways begin a query,
//! request an output, and answer by the same functions. A query that could not be answered at once
//! goes the long way; none waits here.

use cutter_tensor::OutputBytes;

use crate::Core;
use crate::admission::Admission;
use crate::answer::{Outcome, Sink, tell};
use crate::application::Link;
use crate::cache::EntryId;
use crate::ids::{ApplicationId, ModelId};

/// What is known of an input: which model has said something of it, and where that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    model: ModelId,
    entry: EntryId,
}

impl Core {
    /// Whether a query with this input can go the short way now: its application takes queries, has
    /// no policy, and asks one model, whose cache is on and has the output. `before` is what was
    /// known of the same input when it was seen last: if it still holds, nothing is searched, and
    /// the input is not looked at.
    #[inline]
    pub fn known<'a>(
        &self,
        now_ns: u64,
        application: ApplicationId,
        input: impl FnOnce() -> &'a [u8],
        before: Option<Known>,
    ) -> Option<Known> {
        let state = self.applications.get(application)?;
        let [Link { model, .. }] = *state.links.selected() else { return None };
        if state.selector.is_some() || state.is_draining {
            return None;
        }
        let cache = self.models[model].cache.as_ref()?;
        let holds = |known: &Known| known.model == model && cache.is_known(now_ns, known.entry);
        before.filter(holds).or_else(|| {
            let entry = cache.entry_of(now_ns, input())?;
            Some(Known { model, entry }).filter(holds)
        })
    }

    /// Admits a query with an input that was [known](Core::known) when it arrived, and answers it.
    /// Its row means nothing.
    ///
    /// # Panics
    /// When it was not known then.
    pub fn admit_known(
        &mut self,
        now_ns: u64,
        input: &Admission,
        known: Known,
        sink: &mut impl Sink,
    ) {
        let (query, parse_ns) = self.begin(now_ns, input);
        let model = &mut self.models[known.model];
        model.parsed(parse_ns);
        let cache = model.cache.as_mut().expect("an output is known of a model that has a cache");
        let (output, spec) = cache.request_known(input.arrived_ns, known.entry);
        let outcome = Outcome::Prediction { output: OutputBytes::borrowed(output), spec };
        let answer = query.opened().answer(input.application, now_ns, outcome, None);
        tell(&self.applications[input.application].stats, &answer, sink);
    }
}
