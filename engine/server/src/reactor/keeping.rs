//! What outlives the engine thread: states that were learned, and the log of decisions.
//!
//! Both are handed to threads that wait for the disk: [`StoreClient`], [`LogWriter`]. They are
//! looked after once in [`LEARN_PERIOD_NS`] while the thread is awake, and it is woken when
//! something is due.

use cutter_core::Core;
use cutter_core::contexts::{ContextKey, Series};
use cutter_core::selection::Storage;

use crate::decision_log::LogWriter;
use crate::limits::LEARN_PERIOD_NS;
use crate::store::StoreClient;

/// Where things are kept. The log is the port's, where decisions are told.
#[derive(Debug)]
pub struct Keeping {
    store: Option<StoreClient>,
    /// When to look after them next.
    next_ns: u64,
}

type Log = Option<Box<LogWriter>>;

impl Keeping {
    pub fn new(store: Option<StoreClient>) -> Self {
        Self { store, next_ns: 0 }
    }

    /// Hands over what is due and takes what was answered.
    #[inline]
    pub fn look(&mut self, now_ns: u64, core: &mut Core, log: &mut Log) {
        if now_ns < self.next_ns {
            return;
        }
        self.next_ns = now_ns + LEARN_PERIOD_NS;
        if let Some(store) = &mut self.store {
            core.exchange(now_ns, store);
        }
        if let Some(log) = log {
            log.flush(now_ns);
        }
    }

    /// When there is something to do at the latest.
    pub fn due_ns(&self, core: &Core, log: &Log) -> Option<u64> {
        let exchange_ns = self.store.as_ref().and_then(|_| core.exchange_due_ns());
        let flush_ns = log.as_ref().and_then(|log| log.due_ns());
        let due_ns = exchange_ns.into_iter().chain(flush_ns).min()?;
        Some(due_ns.max(self.next_ns))
    }

    /// Hands everything over: nothing is learned any more.
    pub fn end(&mut self, core: &mut Core) {
        let Some(store) = &mut self.store else { return };
        while core.exchange_due_ns().is_some() {
            core.exchange(u64::MAX, store);
            std::thread::yield_now();
        }
    }
}

impl Storage for StoreClient {
    fn load(&mut self, series: Series, key: &ContextKey) -> bool {
        Self::load(self, series, key)
    }

    fn save(&mut self, series: Series, key: &ContextKey, state: &[u8]) -> bool {
        Self::save(self, series, key, state)
    }

    fn answer(&mut self, take: impl FnOnce(Series, &ContextKey, Option<&[u8]>)) -> bool {
        Self::answer(self, take)
    }
}
