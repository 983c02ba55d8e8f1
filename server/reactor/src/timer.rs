//! A hierarchical timer wheel: O(1) to set and to cancel, one deadline to hand to the kernel.
//!
//! ```text
//! level   slots   one slot covers     whole level
//!   0       64    1 ms                64 ms
//!   1       64    64 ms               4.1 s
//!   2       64    4.1 s               4.4 min
//!   3       64    4.4 min             4.7 h
//!   4       64    4.7 h               12.4 days
//!   5       64    12.4 days           2.2 years     (farther deadlines are clamped to its end)
//! ```
//!
//! **Not** precise below a tick: a timer fires at the first tick at or after its deadline, never before.
//!
//! **Invariants**: an entry is in exactly one slot list; a level's `occupied` bit is set iff that list is not empty.
//!
//! **Source**: Varghese & Lauck, "Hashed and hierarchical timing wheels", SOSP 1987.

use crate::id::{ConnectionId, SlabKey, TaskId, TimerId};
use crate::slab::Slab;
use crate::time::Instant;

const TICK_NS: u64 = 1_000_000;
const LEVELS: usize = 6;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const SPAN_TICKS: u64 = 1 << (SLOT_BITS * LEVELS as u32);
const _: () = assert!(SLOTS == u64::BITS as usize, "one bit of `occupied` per slot");

/// Timers of one core at most: a few for each task.
const TIMERS_MAX: usize = 1 << 22;

/// End of a slot's list.
const NIL: u32 = u32::MAX;

/// What a timer wakes when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerTarget {
    Task(TaskId),
    Connection(ConnectionId),
}

struct Entry {
    tick: u64,
    target: TimerTarget,
    place: (u8, u8),
    previous: u32,
    next: u32,
}

struct WheelLevel {
    occupied: u64,
    heads: [u32; SLOTS],
}

pub(crate) struct Wheel {
    entries: Slab<Entry>,
    /// Generations by slot index, to rebuild an entry's key from a list link.
    generations: Vec<u32>,
    levels: [WheelLevel; LEVELS],
    now_tick: u64,
    /// No slot has to be emptied before this tick.
    next_tick: u64,
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        let levels = std::array::from_fn(|_| WheelLevel { occupied: 0, heads: [NIL; SLOTS] });
        Wheel {
            entries: Slab::new(TIMERS_MAX),
            generations: Vec::new(),
            levels,
            now_tick: now.as_nanos() / TICK_NS,
            next_tick: u64::MAX,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sets a timer.
    ///
    /// # Panics
    /// When [`TIMERS_MAX`] are set: the tasks that set them are bounded below that.
    pub(crate) fn insert(&mut self, deadline: Instant, target: TimerTarget) -> TimerId {
        let tick = deadline.as_nanos().div_ceil(TICK_NS).max(self.now_tick + 1);
        let entry = Entry { tick, target, place: (0, 0), previous: NIL, next: NIL };
        let Ok(key) = self.entries.insert(entry) else { panic!("more than {TIMERS_MAX} timers on one core") };
        let index = key.index as usize;
        if self.generations.len() <= index {
            self.generations.resize(index + 1, 0);
        }
        self.generations[index] = key.generation;
        self.link(key);
        self.find_next();
        TimerId(key)
    }

    /// Takes a timer back; does nothing when it has fired.
    pub(crate) fn cancel(&mut self, id: TimerId) {
        if self.entries.get(id.0).is_some() {
            self.unlink(id.0);
            self.entries.remove(id.0);
            self.find_next();
        }
    }

    /// The instant at which [`Wheel::advance`] next has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        (self.next_tick != u64::MAX).then(|| Instant::from_nanos(self.next_tick * TICK_NS))
    }

    fn find_next(&mut self) {
        self.next_tick = self.next_stop().map_or(u64::MAX, |(tick, _, _)| tick);
    }

    /// Moves time on to `now` and hands out every timer that is due.
    #[inline]
    pub(crate) fn advance(&mut self, now: Instant, fire: impl FnMut(TimerTarget)) {
        let target_tick = now.as_nanos() / TICK_NS;
        if target_tick < self.next_tick {
            // The usual pass: nothing is due.
            self.now_tick = self.now_tick.max(target_tick);
        } else {
            self.advance_past_stops(target_tick, fire);
        }
    }

    #[inline(never)]
    fn advance_past_stops(&mut self, target_tick: u64, mut fire: impl FnMut(TimerTarget)) {
        while let Some((tick, level, slot)) = self.next_stop() {
            if tick > target_tick {
                break;
            }
            self.now_tick = self.now_tick.max(tick);
            self.empty_slot(level, slot, &mut fire);
        }
        self.now_tick = self.now_tick.max(target_tick);
        self.find_next();
    }

    /// Fires or moves down every entry of a slot whose time has come.
    fn empty_slot(&mut self, level: usize, slot: usize, fire: &mut impl FnMut(TimerTarget)) {
        let mut link = std::mem::replace(&mut self.levels[level].heads[slot], NIL);
        self.levels[level].occupied &= !(1 << slot);
        while link != NIL {
            let key = self.key(link);
            let entry = self.entries.get(key).expect("a linked entry exists");
            link = entry.next;
            if entry.tick <= self.now_tick {
                let target = entry.target;
                self.entries.remove(key);
                fire(target);
            } else {
                self.link(key);
            }
        }
    }

    /// The first tick at which a slot must be emptied, with the slot.
    fn next_stop(&self) -> Option<(u64, usize, usize)> {
        (0..LEVELS).filter_map(|level| self.next_stop_of(level)).min()
    }

    fn next_stop_of(&self, level: usize) -> Option<(u64, usize, usize)> {
        let occupied = self.levels[level].occupied;
        if occupied == 0 {
            return None;
        }
        let shift = SLOT_BITS * level as u32;
        let position = (self.now_tick >> shift) & (SLOTS as u64 - 1);
        // The slot of `now` itself, if occupied, holds entries of the next turn on level 0, and of this very slot
        // (its start has passed) on higher ones.
        let distance = u64::from(occupied.rotate_right(position as u32).trailing_zeros());
        let slot = (position + distance) & (SLOTS as u64 - 1);
        let start = (((self.now_tick >> shift) + distance) << shift).max(self.now_tick);
        Some((start, level, slot as usize))
    }

    fn key(&self, index: u32) -> SlabKey {
        SlabKey { index, generation: self.generations[index as usize] }
    }

    fn link(&mut self, key: SlabKey) {
        let now_tick = self.now_tick;
        let entry = self.entries.get_mut(key).expect("the caller holds the entry's key");
        // An entry beyond the last level waits at its end and is linked anew from there.
        let tick = entry.tick.min(now_tick + SPAN_TICKS - SPAN_TICKS / SLOTS as u64 - 1);
        let differing = (now_tick ^ tick) | (SLOTS as u64 - 1);
        let level = ((u64::BITS - 1 - differing.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1) as usize;
        let slot = ((tick >> (SLOT_BITS * level as u32)) & (SLOTS as u64 - 1)) as usize;
        let head = self.levels[level].heads[slot];
        entry.place = (level as u8, slot as u8);
        entry.previous = NIL;
        entry.next = head;
        if head != NIL {
            let head_key = self.key(head);
            self.entries.get_mut(head_key).expect("a linked entry exists").previous = key.index;
        }
        self.levels[level].heads[slot] = key.index;
        self.levels[level].occupied |= 1 << slot;
    }

    fn unlink(&mut self, key: SlabKey) {
        let entry = self.entries.get(key).expect("the caller holds the entry's key");
        let (previous, next, (level, slot)) = (entry.previous, entry.next, entry.place);
        if next != NIL {
            let next_key = self.key(next);
            self.entries.get_mut(next_key).expect("a linked entry exists").previous = previous;
        }
        if previous != NIL {
            let previous_key = self.key(previous);
            self.entries.get_mut(previous_key).expect("a linked entry exists").next = next;
            return;
        }
        let level = &mut self.levels[usize::from(level)];
        level.heads[usize::from(slot)] = next;
        if next == NIL {
            level.occupied &= !(1 << slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn ms(ms: u64) -> Instant {
        Instant::from_nanos(ms * TICK_NS)
    }

    fn task(index: u32) -> TimerTarget {
        TimerTarget::Task(TaskId(SlabKey { index, generation: 0 }))
    }

    /// Against the plainest model there is: a list that is searched at every step.
    #[test]
    fn fires_like_a_sorted_list() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut now_ms = random.below(1 << 30);
            let mut wheel = Wheel::new(ms(now_ms));
            let mut model: Vec<(u64, u32, TimerId)> = Vec::new();
            for index in 0..400u32 {
                let spread = 1 << random.below(24);
                let deadline = now_ms + random.below(spread);
                let id = wheel.insert(ms(deadline), task(index));
                model.push((deadline.max(now_ms + 1), index, id));
                if random.chance(300) && !model.is_empty() {
                    let pick = random.below(model.len() as u64) as usize;
                    wheel.cancel(model.swap_remove(pick).2);
                }
                if random.chance(400) {
                    now_ms += random.below(spread);
                    let mut fired = Vec::new();
                    wheel.advance(ms(now_ms), |target| fired.push(target));
                    let mut expected: Vec<_> =
                        model.iter().filter(|(due, ..)| *due <= now_ms).map(|(_, index, _)| task(*index)).collect();
                    model.retain(|(due, ..)| *due > now_ms);
                    fired.sort_by_key(|target| format!("{target:?}"));
                    expected.sort_by_key(|target| format!("{target:?}"));
                    assert_eq!(fired, expected, "seed {seed} at {now_ms} ms");
                }
                assert_eq!(wheel.len(), model.len());
                let earliest = model.iter().map(|(due, ..)| *due).min();
                assert_eq!(wheel.next_deadline().is_some(), earliest.is_some());
                if let (Some(next), Some(earliest)) = (wheel.next_deadline(), earliest) {
                    assert!(next <= ms(earliest), "seed {seed}: would sleep past a timer");
                }
            }
        }
    }

    #[test]
    fn never_fires_early() {
        let mut wheel = Wheel::new(Instant::from_nanos(0));
        wheel.insert(Instant::from_nanos(5 * TICK_NS + 1), task(0));
        let mut fired = 0;
        wheel.advance(Instant::from_nanos(5 * TICK_NS + 1), |_| fired += 1);
        assert_eq!(fired, 0, "its tick is the sixth");
        wheel.advance(ms(6), |_| fired += 1);
        assert_eq!(fired, 1);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_kept() {
        let mut wheel = Wheel::new(ms(0));
        wheel.insert(ms(3 * SPAN_TICKS), task(0));
        let mut fired = 0;
        wheel.advance(ms(3 * SPAN_TICKS - 1), |_| fired += 1);
        assert_eq!(fired, 0);
        wheel.advance(ms(3 * SPAN_TICKS), |_| fired += 1);
        assert_eq!(fired, 1);
    }
}
