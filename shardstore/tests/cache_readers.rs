//! Threads that read a cache in place while its owner stores, overwrites, removes, moves and evicts, and while pages of the
//! index grow, shrink and move.
//!
//! Every value carries its key and its version, and its checksum is looked at: no torn, foreign or older value is ever
//! seen, and what was acknowledged is never followed by something older.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use shardstore::cache::{Cache, CacheOptions, Insert, Read, Reader};
use shardstore::key::KeyHasher;
use shardstore::version::Version;

/// Under Miri (`cargo xtask miri`), which looks at every access of every thread, a run is short.
const KEYS: u64 = if cfg!(miri) { 20 } else { 400 };
const WRITES: u64 = if cfg!(miri) { 1_000 } else { 150_000 };
const NOW: u64 = 1_700_000_000_000;
const READERS: usize = 2;

/// What the threads tell each other.
struct Board {
    /// The version of each key whose write has returned.
    stored: Vec<AtomicU64>,
    is_over: AtomicBool,
}

fn key(id: u64) -> [u8; 11] {
    let mut key = *b"key:.......";
    key[4..].copy_from_slice(&id.to_le_bytes()[..7]);
    key
}

/// A value that says which key and version it is of.
fn value(id: u64, version: u64) -> Vec<u8> {
    let bytes = 16 + (version.wrapping_mul(0x9e37_79b9) % 1_500) as usize;
    let mut value = vec![(id ^ version) as u8; bytes];
    value[..8].copy_from_slice(&id.to_le_bytes());
    value[8..16].copy_from_slice(&version.to_le_bytes());
    value
}

#[derive(Default)]
struct Tally {
    found: u64,
    large: u64,
    absent: u64,
    contended: u64,
}

fn read_until_over(reader: &Reader, hasher: KeyHasher, board: &Board, seed: u64) -> Tally {
    let (mut tally, mut random) = (Tally::default(), seed);
    // One has room for every item, the other for little more than key and metadata.
    let mut buffers = [Vec::with_capacity(4_096), Vec::with_capacity(64)];
    while !board.is_over.load(Ordering::Relaxed) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = (random >> 33) % KEYS;
        let oldest = board.stored[id as usize].load(Ordering::Acquire);
        let buffer = &mut buffers[usize::from(random >> 60 == 0)];
        match reader.read(hasher.hash(&key(id)), &key(id), NOW, buffer) {
            Read::Found(found) => {
                let (version, bytes) = (found.version.bits(), &buffer[found.value()]);
                assert_eq!(bytes, value(id, version), "key {id}, version {version}: torn or foreign");
                assert_eq!(found.value_crc32c, version as u32, "another version's header");
                assert_eq!(&buffer[found.metadata()], &id.to_le_bytes()[..(version % 9) as usize]);
                assert!(version >= oldest, "key {id}: version {version} after {oldest} was stored");
                tally.found += 1;
            }
            Read::Absent => tally.absent += 1,
            Read::Contended => tally.contended += 1,
            Read::Large(facts) => {
                let version = facts.version.bits();
                assert_eq!(facts.value_bytes as usize, value(id, version).len(), "torn or foreign");
                assert_eq!(facts.value_crc32c, version as u32, "another version's header");
                assert_eq!(&buffer[facts.metadata()], &id.to_le_bytes()[..(version % 9) as usize]);
                assert!(facts.value().is_empty() && version >= oldest);
                tally.large += 1;
            }
        }
    }
    tally
}

/// Ends the readers' loops, also when the writer panics.
struct Over<'b>(&'b Board);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

fn write_all(cache: &mut Cache, hasher: KeyHasher, board: &Board) {
    let mut random = 5_u64;
    for version in 1..=WRITES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Half of the writes are to keys that nobody reads, so that segments are drained, and items moved and evicted.
        let id = if random >> 20 & 1 == 0 { (random >> 33) % KEYS } else { 1_000_000 + version };
        let (hash, mut value, metadata) = (hasher.hash(&key(id)), value(id, version), id.to_le_bytes());
        // Those are small for a while, and large for a while, so that the index grows and shrinks.
        if id >= KEYS {
            value.resize(if version / 15_000 % 2 == 0 { 16 } else { 7_000 }, 0);
        }
        let insert = Insert {
            metadata: &metadata[..(version % 9) as usize],
            ..Insert::new(&value[..], Version::from_bits(version), version as u32)
        };
        cache.insert(hash, &key(id), &insert, NOW).expect("nothing is pinned");
        if id < KEYS {
            board.stored[id as usize].store(version, Ordering::Release);
            if random >> 24 & 15 == 0 {
                cache.remove(hash, &key(id), NOW);
            }
        }
        cache.maintain(NOW, 4);
    }
}

#[test]
fn no_reader_sees_a_torn_foreign_or_older_value() {
    let hasher = KeyHasher::new(3);
    let board = Board { stored: (0..KEYS).map(|_| AtomicU64::new(0)).collect(), is_over: AtomicBool::new(false) };
    let options = CacheOptions { readers: READERS, ..CacheOptions::new(2 << 20, hasher) };
    let mut cache = Cache::new(&options).unwrap();
    let shared = cache.share();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let readers = (0..READERS).map(|number| {
            let (reader, board) = (shared.reader(number), &board);
            scope.spawn(move || read_until_over(&reader, hasher, board, number as u64))
        });
        let readers: Vec<_> = readers.collect();
        let over = Over(&board);
        write_all(&mut cache, hasher, &board);
        drop(over);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    if cfg!(miri) {
        // Too short to meet everything: Miri says what it met.
        assert!(tallies.iter().map(|tally| tally.found).sum::<u64>() > 0, "somebody read something");
        return;
    }
    let stats = cache.stats();
    assert!(stats.moved_items > 100 && stats.evicted_for_room > 10_000, "{stats:?}");
    assert!(stats.noted_hits > 0, "readers' hits are counted");
    let renewed = [stats.pages_grown, stats.pages_shrunk, stats.pages_moved];
    assert!(renewed.iter().all(|&pages| pages > 200), "{stats:?}");
    for tally in tallies {
        assert!(tally.large > 50, "{} of which only the facts were read", tally.large);
        assert!(tally.found > 1_000, "{} found, {} absent, {} contended", tally.found, tally.absent, tally.contended);
        assert!(tally.contended < tally.found / 10, "{} contended of {}", tally.contended, tally.found);
    }
}

/// Of a value that does not fit, in one piece or in several, everything but its bytes is read, and it expires like any other.
#[test]
fn facts_of_large_values_are_read_in_place() {
    let hasher = KeyHasher::new(3);
    let mut cache = Cache::new(&CacheOptions { readers: 1, ..CacheOptions::new(4 << 20, hasher) }).unwrap();
    let reader = cache.share().reader(0);
    let mut buffer = Vec::with_capacity(96);
    for (id, value_bytes) in [(1, 100_usize), (2, 30_000), (3, 500_000)] {
        let (hash, value) = (hasher.hash(&key(id)), vec![7; value_bytes]);
        let insert = Insert {
            metadata: b"text/plain",
            expire_ms: NOW + 5,
            flags: 4,
            ..Insert::new(&value[..], Version::from_bits(id), 99)
        };
        cache.insert(hash, &key(id), &insert, NOW).unwrap();
        let Read::Large(facts) = reader.read(hash, &key(id), NOW + 4, &mut buffer) else { panic!("{value_bytes}") };
        assert_eq!((facts.version.bits(), facts.expire_ms, facts.value_crc32c, facts.flags), (id, NOW + 5, 99, 4));
        assert_eq!((facts.value_bytes as usize, &buffer[facts.metadata()]), (value_bytes, &b"text/plain"[..]));
        assert_eq!(reader.read(hash, &key(id), NOW + 5, &mut buffer), Read::Absent);
        assert_eq!(reader.read(hash, &key(id), NOW, &mut Vec::with_capacity(16)), Read::Contended, "no room for them");
    }
    assert_eq!(buffer.capacity(), 96, "nothing was allocated");
}
