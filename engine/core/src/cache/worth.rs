//! Whether a cache pays: while too few come again, the search for them is not worth its time.
//!
//! The rule. Requests are counted in windows, each as long as there are entries: what comes again
//! later than that would not be found anyway. A window pays if one call at least was saved for each
//! so many requests as the plan says. After one that does not, the cache is off for
//! [`CACHE_OFF_WINDOWS`] windows, and then it is tried for one. What it holds it keeps meanwhile,
//! so that each try starts with what those before it have found.
//!
//! ```text
//!   on │ pays │ pays │ pays not │            off             │ pays not │      off …
//! ```

use crate::limits::{CACHE_OFF_WINDOWS, CACHE_WINDOW_MAX, CACHE_WINDOW_MIN};

/// What a cache has saved of late.
#[derive(Debug)]
pub(super) struct Worth {
    window: u32,
    /// Requests until the next decision.
    left: u32,
    saved: u32,
    pays_parts: u32,
    is_off: bool,
}

impl Worth {
    /// Of a cache with so many entries, which pays if one call is saved in so many requests.
    pub fn new(entries: usize, pays_parts: u32) -> Self {
        let window = u32::try_from(entries).unwrap_or(CACHE_WINDOW_MAX);
        let window = window.clamp(CACHE_WINDOW_MIN, CACHE_WINDOW_MAX);
        Self { window, left: window, saved: 0, pays_parts, is_off: false }
    }

    /// Somebody requests. Says whether the cache is on.
    #[inline]
    pub fn request(&mut self) -> bool {
        if self.left == 0 {
            self.decide();
        }
        self.left -= 1;
        !self.is_off
    }

    /// Whether the next request finds the cache on, whatever was saved.
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.is_off && self.left > 0
    }

    /// A call was saved.
    #[inline]
    pub fn save(&mut self) {
        self.saved = self.saved.saturating_add(1);
    }

    pub fn is_off(&self) -> bool {
        self.is_off
    }

    fn decide(&mut self) {
        let pays = self.saved >= self.window / self.pays_parts;
        // Off is followed by a try, whatever was saved.
        self.is_off = !self.is_off && !pays;
        self.left = if self.is_off { self.window * CACHE_OFF_WINDOWS } else { self.window };
        self.saved = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CACHE_PAYS_PARTS;

    /// In how many of so many requests the cache is on, if each one in `parts` is saved then.
    fn on(worth: &mut Worth, requests: u32, parts: u32) -> u32 {
        let asked = (0..requests).filter(|number| {
            let is_on = worth.request();
            (0..u32::from(is_on && number % parts == 0)).for_each(|_| worth.save());
            is_on
        });
        u32::try_from(asked.count()).unwrap()
    }

    #[test]
    fn a_window_is_as_long_as_there_are_entries_within_bounds() {
        let windows =
            [1, 5_000, usize::MAX].map(|entries| Worth::new(entries, CACHE_PAYS_PARTS).window);
        assert_eq!(windows, [CACHE_WINDOW_MIN, 5_000, CACHE_WINDOW_MAX]);
    }

    #[test]
    fn it_is_on_while_just_enough_is_saved() {
        let mut worth = Worth::new(0, CACHE_PAYS_PARTS);
        let requests = CACHE_WINDOW_MIN * 40;
        assert_eq!(on(&mut worth, requests, CACHE_PAYS_PARTS), requests);
    }

    #[test]
    fn it_is_off_in_all_windows_but_one_in_a_cycle_while_a_little_less_is_saved() {
        let mut worth = Worth::new(0, CACHE_PAYS_PARTS);
        let cycles = 10;
        let requests = CACHE_WINDOW_MIN * (1 + CACHE_OFF_WINDOWS) * cycles;
        assert_eq!(on(&mut worth, requests, CACHE_PAYS_PARTS + 2), CACHE_WINDOW_MIN * cycles);
    }

    #[test]
    fn it_stays_on_from_the_first_try_that_pays() {
        let mut worth = Worth::new(0, CACHE_PAYS_PARTS);
        on(&mut worth, CACHE_WINDOW_MIN + 1, u32::MAX);
        assert!(worth.is_off());
        let off = CACHE_WINDOW_MIN * CACHE_OFF_WINDOWS - 1;
        assert_eq!(on(&mut worth, off, 1), 0, "what is asked while it is off is not found");
        assert_eq!(on(&mut worth, CACHE_WINDOW_MIN * 50, 3), CACHE_WINDOW_MIN * 50);
    }
}
