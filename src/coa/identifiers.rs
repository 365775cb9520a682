//! Identifiers towards one NAS: 256 for each source port.

use std::collections::VecDeque;
use std::time::Instant;

/// A source port and an Identifier: what tells outstanding requests to one NAS apart (RFC 5176 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wire {
    pub(super) slot: u8,
    pub(super) identifier: u8,
}

/// Which Identifiers are free. They are taken in turn, so that each is used again as late as can be, and
/// rest for a while after use: none is re-used while it, or a late reply to it, may be under way.
#[derive(Debug)]
pub(super) struct Identifiers {
    /// One bit per Identifier, four words per slot.
    busy: Box<[u64]>,
    cursor: usize,
    resting: VecDeque<(Instant, Wire)>,
}

impl Identifiers {
    /// All free; `start` says which is the first to be taken.
    pub(super) fn new(slots: u8, start: u64) -> Self {
        let words = usize::from(slots.max(1)) * WORDS_PER_SLOT;
        let cursor = usize::try_from(start % 256).expect("below 256");
        Self { busy: vec![0; words].into(), cursor, resting: VecDeque::new() }
    }

    /// Takes the next free one.
    pub(super) fn take(&mut self) -> Option<Wire> {
        let places = self.busy.len() * 64;
        for step in 0..places {
            let place = (self.cursor + step) % places;
            let word = self.busy.get_mut(place / 64)?;
            let bit = 1 << (place % 64);
            if *word & bit == 0 {
                *word |= bit;
                self.cursor = (place + 1) % places;
                let slot = u8::try_from(place / 256).expect("slots are counted in eight bits");
                let identifier = u8::try_from(place % 256).expect("below 256");
                return Some(Wire { slot, identifier });
            }
        }
        None
    }

    /// Its exchange has ended; free again at `until`.
    pub(super) fn rest(&mut self, wire: Wire, until: Instant) {
        self.resting.push_back((until, wire));
    }

    /// Frees those that have rested.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((until, wire)) = self.resting.front().copied()
            && until <= now
        {
            self.resting.pop_front();
            let place = usize::from(wire.slot) * 256 + usize::from(wire.identifier);
            if let Some(word) = self.busy.get_mut(place / 64) {
                *word &= !(1 << (place % 64));
            }
        }
    }

    /// When the first of the resting is free.
    pub(super) fn next_rested(&self) -> Option<Instant> {
        self.resting.front().map(|(until, _)| *until)
    }

    /// When the last of the resting is free.
    pub(super) fn last_rested(&self) -> Option<Instant> {
        self.resting.back().map(|(until, _)| *until)
    }
}

const WORDS_PER_SLOT: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::time::{Clock as _, SystemClock};

    #[test]
    fn each_is_used_again_as_late_as_can_be() {
        let now = SystemClock.now().instant;
        for start in [0, 7, 255, u64::MAX] {
            let mut identifiers = Identifiers::new(3, start);
            let first = identifiers.take().unwrap();
            let mut used = HashSet::from([first]);
            identifiers.rest(first, now);
            for _ in 1..3 * 256 {
                identifiers.wake(now);
                let next = identifiers.take().unwrap();
                assert!(used.insert(next), "{next:?} again");
                identifiers.rest(next, now);
            }
            identifiers.wake(now);
            assert_eq!(identifiers.take(), Some(first));
        }
    }

    #[test]
    fn none_is_taken_that_is_busy_or_rests() {
        let now = SystemClock.now().instant;
        let later = now + std::time::Duration::from_secs(5);
        let mut identifiers = Identifiers::new(1, 0);
        let taken: HashSet<_> = (0..256).map(|_| identifiers.take().unwrap()).collect();
        assert_eq!((taken.len(), identifiers.take()), (256, None));
        let one = Wire { slot: 0, identifier: 77 };
        identifiers.rest(one, later);
        identifiers.wake(now);
        assert_eq!((identifiers.take(), identifiers.next_rested()), (None, Some(later)));
        identifiers.wake(later);
        assert_eq!((identifiers.take(), identifiers.next_rested()), (Some(one), None));
    }
}
