//! What every reader of a body keeps between two pieces of it: where the next one begins, and the
//! error that is being located.

use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Locator};

/// A body that is read in pieces.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// Where the next piece begins.
    pub(super) at: usize,
    failure: Option<Box<Locator>>,
}

impl Pieces {
    pub(super) fn new() -> Self {
        Self { at: 0, failure: None }
    }

    /// Reads a piece with `steps`, which is told where to pause; `None` if there is more to come.
    /// Once the body is found wrong, the pieces go to finding out in which line.
    #[inline]
    pub(super) fn read<'a, T>(
        &mut self,
        body: &'a [u8],
        budget_bytes: usize,
        steps: impl FnOnce(&mut Cursor<'a>, usize) -> Result<T, Stop>,
    ) -> Result<Option<T>, JsonError> {
        let budget_bytes = budget_bytes.max(1);
        let mut left_bytes = budget_bytes;
        if self.failure.is_none() {
            let mut cursor = Cursor::new(body, self.at, budget_bytes);
            let pause_at = self.at.saturating_add(budget_bytes);
            let read = steps(&mut cursor, pause_at);
            left_bytes -= (cursor.at() - self.at).min(budget_bytes);
            self.at = cursor.at();
            match read {
                Ok(read) => return Ok(Some(read)),
                Err(Stop::Cut) => return Ok(None),
                Err(Stop::Wrong(error)) => self.failure = Some(Box::new(Locator::new(error))),
            }
        }
        let located = self.failure.as_mut().and_then(|failure| failure.locate(body, left_bytes));
        located.map_or(Ok(None), Err)
    }
}
