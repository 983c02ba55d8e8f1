//! The plain way: a hash table of boxed keys and values, and a list in the order of their last use.
//!
//! ```text
//!  table (hashbrown): number of a node      nodes: [key, value, older, newer]      free: numbers of nodes not in use
//!                                                    oldest ⇄ … ⇄ newest
//! ```
//!
//! What `HashMap<Box<[u8]>, Box<[u8]>>` with an LRU list is, but that the table holds 4 bytes a slot and the node the boxes:
//! so the list needs no second copy of the key to evict by, and a lookup touches no more memory than it must.
//!
//! **Invariants**: the weights of all nodes in the list sum up to `used`, which is at most `budget` after every call; a node is
//! in the table if and only if it is in the list.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::engine::store::{LoadKey, MeasuredStore, weight};

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct LruNode {
    key: Box<[u8]>,
    value: Box<[u8]>,
    older: u32,
    newer: u32,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct LruStore {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    nodes: Vec<LruNode>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    used: u64,
    budget: u64,
}

impl LruStore {
    /// An empty one; the budget is for keys and values.
    pub(crate) fn new(budget: u64) -> Self {
        Self {
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            nodes: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            used: 0,
            budget,
        }
    }

    #[inline]
    fn number_of(&self, key: &[u8]) -> Option<u32> {
        let nodes = &self.nodes;
        self.table.find(self.hasher.hash_one(key), |number| *nodes[*number as usize].key == *key).copied()
    }

    #[inline]
    fn unlink(&mut self, number: u32) {
        let LruNode { older, newer, .. } = self.nodes[number as usize];
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
    }

    #[inline]
    fn link_newest(&mut self, number: u32) {
        let before = std::mem::replace(&mut self.newest, number);
        let node = &mut self.nodes[number as usize];
        (node.older, node.newer) = (before, NONE);
        match before {
            NONE => self.oldest = number,
            before => self.nodes[before as usize].newer = number,
        }
    }

    #[inline]
    fn renew(&mut self, number: u32) {
        if number != self.newest {
            self.unlink(number);
            self.link_newest(number);
        }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        let node = LruNode { key: key.into(), value: value.into(), older: NONE, newer: NONE };
        let number = match self.free.pop() {
            Some(number) => {
                self.nodes[number as usize] = node;
                number
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).expect("fewer items than 2^32 are held")
            }
        };
        self.link_newest(number);
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let hash_of = |number: &u32| hasher.hash_one(&*nodes[*number as usize].key);
        self.table.insert_unique(self.hasher.hash_one(key), number, hash_of);
    }

    fn evict(&mut self, number: u32) {
        self.unlink(number);
        // Dropping the boxes gives their memory back.
        let node = &mut self.nodes[number as usize];
        let (key, value) = (std::mem::take(&mut node.key), std::mem::take(&mut node.value));
        self.used -= weight(&key, &value);
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(&*key), |other| *other == number) {
            entry.remove();
        }
        self.free.push(number);
    }
}

impl MeasuredStore for LruStore {
    #[inline]
    fn find(&mut self, key: &LoadKey, sink: &mut [u8]) -> Option<usize> {
        let number = self.number_of(key)?;
        self.renew(number);
        let value = &self.nodes[number as usize].value;
        sink[..value.len()].copy_from_slice(value);
        Some(value.len())
    }

    fn store(&mut self, key: &LoadKey, value: &[u8]) {
        self.used += weight(key, value);
        match self.number_of(key) {
            Some(number) => {
                let old = std::mem::replace(&mut self.nodes[number as usize].value, value.into());
                self.used -= weight(key, &old);
                self.renew(number);
            }
            None => self.add(key, value),
        }
        while self.used > self.budget {
            self.evict(self.oldest);
        }
    }

    fn remove(&mut self, key: &LoadKey) -> bool {
        let number = self.number_of(key);
        number.into_iter().for_each(|number| self.evict(number));
        number.is_some()
    }

    fn items(&mut self) -> u64 {
        self.table.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt as _, SeedableRng as _};

    /// The same by definition: a queue of (key, value), newest last.
    #[derive(Default)]
    struct Naive(VecDeque<(LoadKey, Vec<u8>)>);

    impl Naive {
        fn take(&mut self, key: &LoadKey) -> Option<Vec<u8>> {
            let at = self.0.iter().position(|(own, _)| own == key)?;
            self.0.remove(at).map(|(_, value)| value)
        }

        fn store(&mut self, key: LoadKey, value: Vec<u8>, budget: u64) {
            self.take(&key);
            self.0.push_back((key, value));
            while self.0.iter().map(|(key, value)| weight(key, value)).sum::<u64>() > budget {
                self.0.pop_front();
            }
        }
    }

    #[test]
    fn it_does_what_the_definition_says() {
        let budget = 2000;
        let (mut lru, mut naive, mut random) =
            (LruStore::new(budget), Naive::default(), Xoshiro256PlusPlus::seed_from_u64(3));
        let mut sink = [0; 256];
        for step in 0..40_000 {
            let key = [random.random_range(0..60); 36];
            match random.random_range(0..10) {
                0..5 => {
                    let value = naive.take(&key);
                    let found = lru.find(&key, &mut sink).map(|len| sink[..len].to_vec());
                    assert_eq!(found, value, "step {step}");
                    value.into_iter().for_each(|value| naive.store(key, value, budget));
                }
                5..9 => {
                    let value = vec![step as u8; random.random_range(0..256)];
                    lru.store(&key, &value);
                    naive.store(key, value, budget);
                }
                _ => assert_eq!(lru.remove(&key), naive.take(&key).is_some(), "step {step}"),
            }
            assert_eq!(lru.items(), naive.0.len() as u64, "step {step}");
        }
        assert!(lru.nodes.len() < 60, "nodes are used again: {}", lru.nodes.len());
    }

    #[test]
    fn what_exceeds_the_budget_alone_is_not_kept() {
        let mut lru = LruStore::new(100);
        lru.store(&[1; 36], &[0; 64]);
        lru.store(&[2; 36], &[0; 65]);
        assert_eq!((lru.items(), lru.used), (0, 0));
    }
}
