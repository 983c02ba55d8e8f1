//! A slab whose keys carry a generation, so that a late completion or a stale wake finds nothing.
//!
//! **Not** an ordered collection, and not shared between threads.
//!
//! **Invariants**: a slot's generation grows by one each time it is vacated; a key matches at most one occupant ever
//! (until the 32-bit generation of that one slot wraps).

use crate::id::SlabKey;

enum SlabSlot<T> {
    Vacant { next: u32 },
    Occupied(T),
}

struct Entry<T> {
    generation: u32,
    slot: SlabSlot<T>,
}

/// End of the list of vacant slots.
const NONE: u32 = u32::MAX;

pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    vacant: u32,
    count: usize,
    count_max: usize,
}

impl<T> Slab<T> {
    /// An empty slab that holds at most `count_max` values.
    pub(crate) fn new(count_max: usize) -> Self {
        assert!(count_max < NONE as usize, "slab bound {count_max} does not fit its 32-bit keys");
        Slab { entries: Vec::new(), vacant: NONE, count: 0, count_max }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count == self.count_max
    }

    /// Stores `value`, or gives it back when the slab is full.
    pub(crate) fn insert(&mut self, value: T) -> Result<SlabKey, T> {
        if self.is_full() {
            return Err(value);
        }
        self.count += 1;
        if self.vacant == NONE {
            let index = self.entries.len() as u32;
            self.entries.push(Entry { generation: 0, slot: SlabSlot::Occupied(value) });
            return Ok(SlabKey { index, generation: 0 });
        }
        let index = self.vacant;
        let entry = &mut self.entries[index as usize];
        let SlabSlot::Vacant { next } = entry.slot else { unreachable!("the vacant list names an occupied slot") };
        self.vacant = next;
        entry.slot = SlabSlot::Occupied(value);
        Ok(SlabKey { index, generation: entry.generation })
    }

    pub(crate) fn get(&self, key: SlabKey) -> Option<&T> {
        match self.entries.get(key.index as usize) {
            Some(Entry { generation, slot: SlabSlot::Occupied(value) }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: SlabKey) -> Option<&mut T> {
        match self.entries.get_mut(key.index as usize) {
            Some(Entry { generation, slot: SlabSlot::Occupied(value) }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: SlabKey) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation || matches!(entry.slot, SlabSlot::Vacant { .. }) {
            return None;
        }
        let slot = std::mem::replace(&mut entry.slot, SlabSlot::Vacant { next: self.vacant });
        entry.generation = entry.generation.wrapping_add(1);
        self.vacant = key.index;
        self.count -= 1;
        match slot {
            SlabSlot::Occupied(value) => Some(value),
            SlabSlot::Vacant { .. } => None,
        }
    }

    /// The key of the occupant of a slot.
    pub(crate) fn key_at(&self, index: u32) -> Option<SlabKey> {
        let entry = self.entries.get(index as usize)?;
        matches!(entry.slot, SlabSlot::Occupied(_)).then_some(SlabKey { index, generation: entry.generation })
    }

    /// The keys of all occupants, in slot order.
    pub(crate) fn keys(&self) -> Vec<SlabKey> {
        let occupied = self.entries.iter().enumerate().filter(|(_, entry)| matches!(entry.slot, SlabSlot::Occupied(_)));
        occupied.map(|(index, entry)| SlabKey { index: index as u32, generation: entry.generation }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::new(4);
        let first = slab.insert("first").unwrap();
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second").unwrap();
        assert_eq!(second.index, first.index, "the slot is used again");
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
    }

    #[test]
    fn a_full_slab_gives_the_value_back() {
        let mut slab = Slab::new(1);
        let key = slab.insert(1).unwrap();
        assert_eq!(slab.insert(2), Err(2));
        slab.remove(key);
        assert!(slab.insert(3).is_ok());
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn keys_lists_the_occupants() {
        let mut slab = Slab::new(8);
        let keys: Vec<_> = (0..5).map(|n| slab.insert(n).unwrap()).collect();
        slab.remove(keys[2]);
        assert_eq!(slab.keys(), vec![keys[0], keys[1], keys[3], keys[4]]);
    }
}
