//! Containers that have connected and not said hello yet: a bounded number, of all and of each
//! process, so that none that say nothing keep out one that does. Pure.
//!
//! Who comes always gets a place. When there is none, the oldest of those that say nothing loses
//! its own: of the same process, if that has as many as one may have; else of all.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::limits::{CONTAINERS_PENDING_MAX, CONTAINERS_PENDING_OF_PROCESS_MAX};

#[derive(Debug, Default)]
pub(super) struct Waiting {
    next: u64,
    /// The oldest first.
    mute: VecDeque<Mute>,
}

#[derive(Debug)]
struct Mute {
    number: u64,
    pid: u32,
    /// Dropping it takes the place away.
    _place: oneshot::Sender<()>,
}

/// A place. Its receiver becomes ready when the place is lost.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    pub(super) lost: oneshot::Receiver<()>,
}

impl Waiting {
    pub(super) fn enter(&mut self, pid: u32) -> Place {
        let of_process = self.mute.iter().filter(|mute| mute.pid == pid).count();
        if of_process >= CONTAINERS_PENDING_OF_PROCESS_MAX {
            let oldest = self.mute.iter().position(|mute| mute.pid == pid);
            oldest.and_then(|oldest| self.mute.remove(oldest));
        }
        if self.mute.len() >= CONTAINERS_PENDING_MAX {
            self.mute.pop_front();
        }
        let (place, lost) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.mute.push_back(Mute { number, pid, _place: place });
        Place { number, lost }
    }

    /// It has said something, or is gone.
    pub(super) fn leave(&mut self, place: &Place) {
        self.mute.retain(|mute| mute.number != place.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(places: &mut [Place]) -> Vec<u64> {
        let lost = places.iter_mut().filter_map(|place| {
            let is_lost = place.lost.try_recv() == Err(oneshot::error::TryRecvError::Closed);
            is_lost.then_some(place.number)
        });
        lost.collect()
    }

    #[test]
    fn a_process_that_takes_more_than_its_part_loses_its_own_oldest() {
        let mut waiting = Waiting::default();
        let mut other = [waiting.enter(7)];
        let more = CONTAINERS_PENDING_OF_PROCESS_MAX + 2;
        let mut places: Vec<Place> = (0..more).map(|_| waiting.enter(8)).collect();
        assert_eq!((lost(&mut other), lost(&mut places)), (vec![], vec![1, 2]));
        assert_eq!(waiting.mute.len(), 1 + CONTAINERS_PENDING_OF_PROCESS_MAX);
    }

    #[test]
    fn when_all_places_are_taken_the_oldest_of_all_is_lost() {
        let mut waiting = Waiting::default();
        let all = u32::try_from(CONTAINERS_PENDING_MAX).unwrap();
        let mut places: Vec<Place> = (0..all).map(|pid| waiting.enter(pid)).collect();
        waiting.leave(&places[3]);
        places.push(waiting.enter(all));
        assert_eq!(lost(&mut places), [3]);
        places.push(waiting.enter(all + 1));
        assert_eq!(lost(&mut places), [0, 3]);
    }
}
