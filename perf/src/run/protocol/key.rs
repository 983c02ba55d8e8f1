//! The names of keys: a number, or a name of some length that stands for it, between what the URL says before and after.
//!
//! **Invariants**: different numbers have different names; the number alone fixes the name, whatever the seed of the run.

use super::LoadTarget;
use crate::run::scenario::Keys;
use perf_basis::random::mixed;

/// Longest name that stands for a number.
pub(in crate::run) const NAME_BYTES_MAX: usize = 64;

/// Digits of a number that end a name: all bits of it, so that no two are alike.
pub(in crate::run) const NAME_BYTES_MIN: usize = 16;

/// How names begin: keys of one application have their beginnings in common.
const BEGINNING: &[u8; NAME_BYTES_MAX - NAME_BYTES_MIN] = b"shop:eu-west:catalog:item:v2:session:profile:id:";

/// Sets the lot for lengths of names apart from that for their digits.
const LENGTH_SEED: u64 = 0x1E57;

/// A number as text: in decimal digits, as all text protocols write it, or as a name.
pub(super) struct Decimal {
    text: [u8; NAME_BYTES_MAX],
    start: usize,
}

impl Decimal {
    const NOTHING: Self = Self { text: [0; NAME_BYTES_MAX], start: NAME_BYTES_MAX };

    #[inline]
    pub(super) fn of(mut number: u64) -> Self {
        let mut decimal = Self::NOTHING;
        loop {
            decimal.start -= 1;
            decimal.text[decimal.start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    /// The name of a number, of `shortest` bytes or up to `more` more.
    #[inline]
    fn name(number: u64, (shortest, more): (usize, u64)) -> Self {
        let mut name = Self::NOTHING;
        let bytes = shortest + (mixed(number ^ LENGTH_SEED) % (more + 1)) as usize;
        let (beginning, digits) = name.text.split_at_mut(NAME_BYTES_MAX - NAME_BYTES_MIN);
        let begins = bytes - NAME_BYTES_MIN;
        let start = beginning.len() - begins;
        beginning[start..].copy_from_slice(&BEGINNING[..begins]);
        digits.copy_from_slice(&hex(mixed(number)));
        name.start = start;
        name
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

/// Sixteen hexadecimal digits, without a branch for any of them.
#[inline]
pub(super) fn hex(number: u64) -> [u8; 16] {
    let spread = |half: u32| {
        // One digit into each byte, the highest first.
        let wide = u64::from(half);
        let wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF;
        let wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF;
        let wide = (wide | wide << 4) & 0x0F0F_0F0F_0F0F_0F0F;
        // From '0', and for ten and more as far again as from ':' to 'a'.
        let letters = (wide + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
        (wide + 0x3030_3030_3030_3030 + letters * 39).to_be_bytes()
    };
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&spread((number >> 32) as u32));
    digits[8..].copy_from_slice(&spread(number as u32));
    digits
}

/// The key's template: what is before and after its number.
pub(super) struct KeyTemplate {
    pub(super) before: Vec<u8>,
    after: Vec<u8>,
    number: Number,
}

/// What stands for a number.
enum Number {
    /// Nothing: all keys are one.
    None,
    Digits,
    /// A name of so many bytes, or up to so many more.
    Name(usize, u64),
}

impl KeyTemplate {
    pub(super) fn new(target: &LoadTarget, keys: &Keys) -> Self {
        let (before, after) = &target.path;
        let number = match keys.bytes {
            _ if !target.has_key => Number::None,
            None => Number::Digits,
            Some([shortest, longest]) => Number::Name(shortest, (longest - shortest) as u64),
        };
        Self { before: before.clone().into_bytes(), after: after.clone().into_bytes(), number }
    }

    /// What stands for a key's number; nothing if all keys are one.
    #[inline]
    pub(super) fn number(&self, key: u64) -> Decimal {
        match self.number {
            Number::None => Decimal::NOTHING,
            Number::Digits => Decimal::of(key),
            Number::Name(shortest, more) => Decimal::name(key, (shortest, more)),
        }
    }

    /// Length of the key with this number in bytes.
    #[inline]
    pub(super) fn bytes(&self, number: &Decimal) -> usize {
        self.before.len() + number.as_bytes().len() + self.after.len()
    }

    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, number: &Decimal) {
        buffer.extend_from_slice(&self.before);
        buffer.extend_from_slice(number.as_bytes());
        buffer.extend_from_slice(&self.after);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_have_the_lengths_asked_for_and_differ() {
        let keys = Keys { count: 9, bytes: Some([24, 60]), ..Keys::default() };
        let template = KeyTemplate::new(&LoadTarget::parse("redis://127.0.0.1/{key}").expect("it is right"), &keys);
        let names: Vec<Vec<u8>> = (0..20_000).map(|key| template.number(key).as_bytes().to_vec()).collect();
        let mut lengths = [0; NAME_BYTES_MAX + 1];
        names.iter().for_each(|name| lengths[name.len()] += 1);
        assert!(lengths[..24].iter().chain(&lengths[61..]).all(|count| *count == 0));
        assert!(lengths[24..=60].iter().all(|count| (400..700).contains(count)), "{lengths:?}");
        assert!(names.iter().flatten().all(|byte| byte.is_ascii_graphic() && !b"{}%?#/".contains(byte)));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }

    #[test]
    fn numbers_are_written_in_both_bases() {
        for number in [0, 1, 9, 10, 0xABCD_EF01_2345_6789, u64::MAX] {
            assert_eq!(hex(number), *format!("{number:016x}").as_bytes());
            assert_eq!(Decimal::of(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
