//! A base-2 logarithm in fixed point, the same on every platform.
//!
//! The owner of a slot is decided by comparing logarithms. The floating-point `ln` of the system's library differs in its
//! last bit between platforms and releases, and one differing bit is two nodes that both (or neither) own a slot. This one
//! uses integers only.
//!
//! **Not**: a general mathematical library.
//!
//! **Invariants**: exact at powers of two, strictly determined by its integer arithmetic, error below 2^-30.
//!
//! **Source**: the table method: log2(m) = T[i] + log2(1 + z) with z < 2^-8 by three terms of its series.

/// Fraction bits of the result.
pub(super) const FRACTION_BITS: u32 = 32;

/// Bits of the mantissa that index the table.
const TABLE_BITS: u32 = 8;

/// log2(1 + i/256) with 32 fraction bits, made at compile time by repeated squaring.
static TABLE: [u64; 1 << TABLE_BITS] = table();

/// 1/ln(2) with 32 fraction bits.
const INVERSE_LN_2: u64 = 6_196_328_019;

/// log2(`value`) with [`FRACTION_BITS`] fraction bits; below 64 in its integer part.
///
/// # Panics
///
/// When `value` is 0, which has no logarithm.
#[inline]
pub(super) fn log2(value: u64) -> u64 {
    assert!(value > 0, "0 has no logarithm");
    let exponent = value.ilog2();
    // 1.63 fixed point: the leading one at bit 63.
    let mantissa = value << (63 - exponent);
    let index = (mantissa << 1) >> (u64::BITS - TABLE_BITS);
    // z = rest / base, both scaled alike; 32 fraction bits.
    let base = (1 << TABLE_BITS) + index;
    let rest = (mantissa & ((1 << (63 - TABLE_BITS)) - 1)) >> (63 - TABLE_BITS - FRACTION_BITS);
    let z = rest / base;
    // ln(1 + z) = z - z²/2 + z³/3 - …, z < 2^-8: the fourth term is below 2^-34.
    let z2 = (z * z) >> FRACTION_BITS;
    let z3 = (z2 * z) >> FRACTION_BITS;
    let ln = z - z2 / 2 + z3 / 3;
    let fraction = ((u128::from(ln) * u128::from(INVERSE_LN_2)) >> FRACTION_BITS) as u64;
    (u64::from(exponent) << FRACTION_BITS) + TABLE[index as usize] + fraction
}

const fn table() -> [u64; 1 << TABLE_BITS] {
    let mut table = [0; 1 << TABLE_BITS];
    let mut i = 0;
    while i < table.len() {
        table[i] = log2_by_squaring((1 << TABLE_BITS) + i as u64);
        i += 1;
    }
    table
}

/// The fraction of log2(m / 256) for m in 256..512: square, and take a bit whenever the square reaches 2.
const fn log2_by_squaring(m: u64) -> u64 {
    // 2.62 fixed point.
    let mut x = m << (62 - TABLE_BITS);
    let mut fraction = 0;
    let mut bit = 0;
    while bit < FRACTION_BITS {
        x = ((x as u128 * x as u128) >> 62) as u64;
        fraction <<= 1;
        if x >= 2 << 62 {
            fraction |= 1;
            x >>= 1;
        }
        bit += 1;
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_exact() {
        for exponent in 0..64 {
            assert_eq!(log2(1 << exponent), exponent << FRACTION_BITS);
        }
    }

    #[test]
    fn it_agrees_with_floating_point_and_never_decreases() {
        let mut previous = 0;
        for step in 0..2_000_000_u64 {
            let value = step * (u64::MAX / 2_000_000) + 1;
            let ours = log2(value);
            assert!(ours >= previous || previous - ours <= 4, "log2 falls at {value}");
            previous = ours;
            let theirs = (value as f64).log2() * (1_u64 << FRACTION_BITS) as f64;
            assert!((ours as f64 - theirs).abs() < 8.0, "log2({value}) = {ours}, not {theirs}");
        }
    }
}
