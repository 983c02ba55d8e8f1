//! What has expired, was overwritten or removed does not hold the place of what lives.

use super::*;

/// Nothing was evicted, and of all items stored, of which these are the expiries, at most a twentieth more than live has a place.
fn assert_little_has_expired(rig: &Rig, expiries: &[u64]) {
    let living = expiries.iter().filter(|&&expire_ms| expire_ms > rig.now_ms).count() as u64;
    let stats = rig.cache.stats();
    assert_eq!(stats.evicted_for_room + stats.evicted_for_slot, 0);
    assert!(stats.items - living <= living / 20, "{} items, of which {living} have not expired", stats.items);
}

/// Times to live of three lengths, mixed; all that lives would fit, so nothing need ever be evicted.
#[test]
fn what_has_expired_takes_little_of_the_memory() {
    let mut rig = Rig::new(64 * MIB);
    let (mut random, mut expiries) = (3_u64, Vec::new());
    for second in 0..900 {
        for n in 0..500 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let ttl_s = match random >> 33 & 15 {
                0..10 => 10,
                10..15 => 60,
                _ => 600,
            };
            let (id, expire_ms) = (second * 500 + n, rig.now_ms + 1_000 * ttl_s);
            rig.put(id, 1_100, expire_ms);
            expiries.push(expire_ms);
            if n % 125 == 0 {
                rig.now_ms += 250;
                rig.cache.maintain(rig.now_ms, 2_048);
            }
        }
    }
    assert_little_has_expired(&rig, &expiries);
}

/// Times to live that are spread a little, as those who fear that all expires at once spread them: a segment's first item expires
/// long before its last.
#[test]
fn a_segment_half_expired_does_not_wait_for_its_last_item() {
    let mut rig = Rig::new(64 * MIB);
    let (mut random, mut expiries) = (5_u64, Vec::new());
    for step in 0..4_000 {
        for n in 0..100 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let expire_ms = rig.now_ms + 80_000 + (random >> 33) % 20_000;
            rig.put(step * 100 + n, 900, expire_ms);
            expiries.push(expire_ms);
        }
        rig.now_ms += 250;
        rig.cache.maintain(rig.now_ms, 2_048);
    }
    assert_little_has_expired(&rig, &expiries);
    let stats = rig.cache.stats();
    // Each move halves what is left to move, so that all of them together write no more than was stored.
    assert!(stats.moved_items < stats.inserts, "{} moves of {} items", stats.moved_items, stats.inserts);
}

/// What is touched before it expires stays where it is: the segment knows that its items live longer.
#[test]
fn a_touched_segment_is_not_taken_for_half_expired() {
    let mut rig = Rig::new(64 * MIB);
    (0..1_000).for_each(|id| rig.put(id, 4_000, NOW + 60_000));
    for round in 1..=10 {
        rig.now_ms = NOW + round * 30_000;
        for id in 0..1_000 {
            let (hash, key) = rig.key(id);
            assert!(rig.cache.touch(hash, &key, rig.now_ms + 60_000, rig.now_ms).is_some());
        }
        rig.maintain();
    }
    assert_eq!(rig.cache.stats().moved_items, 0);
}

/// All that lives fills two thirds; all of it is written over and over, in random order.
#[test]
fn what_is_dead_goes_before_what_lives() {
    let mut rig = Rig::new(16 * MIB);
    let mut random = 7_u64;
    for _ in 0..200_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        rig.put((random >> 33) as u32 % 10_000, 1_000, 0);
        rig.cache.maintain(rig.now_ms, 64);
        rig.now_ms += 10;
    }
    let stats = rig.cache.stats();
    assert_eq!((stats.items, stats.evicted_for_room + stats.evicted_for_slot), (10_000, 0));
}

#[test]
fn what_is_used_and_written_again_goes_to_the_main_queue() {
    let mut rig = Rig::new(4 * MIB);
    for (uses, is_main) in [(1, false), (2, true)] {
        let (hash, key) = rig.key(uses);
        rig.put(uses, 100, 0);
        (0..uses).for_each(|_| assert!(rig.cache.get(hash, &key, NOW).is_some()));
        rig.put(uses, 100, 0);
        let (_, item) = rig.cache.find(hash, &key).unwrap();
        let segment = rig.cache.segments.at(rig.cache.arena.segment_of(item.location.at()));
        assert_eq!(segment.queue == Queue::Main, is_main, "{uses} uses");
    }
}
