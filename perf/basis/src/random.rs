//! Numbers that stand for numbers: a mixing function, for what must be the same in every run and on every side.
//!
//! **Not** a generator; whoever draws takes one of the crate `rand`, with a fixed seed.
//!
//! **Source**: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).

/// A number's place in a sequence that looks even over 0 to 2^64; different numbers have different places.
#[inline]
pub const fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
