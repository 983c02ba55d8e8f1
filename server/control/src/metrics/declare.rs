//! One declaration per metric: a group's struct, its families, and how each is read, all from one table.
//!
//! ```text
//!  metrics! { struct Group { /// help  field: Type = "name" by "label" in WORDS, } }
//!     ├─▶ struct Group            the data core writes `group.field`
//!     ├─▶ Group::families()       names, kinds, labels and help: docs/metrics.md
//!     └─▶ Group::visit()          every value under its family: /metrics, /v1/status, STATS
//! ```
//!
//! **Not** registration at run time: a group is a plain struct, and the control core is given a reference to it.
//!
//! **Invariants**: a field is rendered under the name that stands beside it, and nowhere else; a labelled field has a word
//! for each of its series, or it does not compile.
//!
//! **Source**: docs/metrics.md.

use super::counter::{Counter, Gauge};
use super::family::{Family, Kind};
use super::latency::Latency;

/// What a field holds when it is read.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// A sum, or a number that goes up and down.
    Number(u64),
    /// A distribution.
    Latency(&'a Latency),
}

/// Called with each value of a group: its family, the word of its own label if it has one, and the value.
pub type Visitor<'v> = dyn FnMut(&'static Family, Option<&'static str>, Reading<'_>) + 'v;

/// A struct of metrics, as [`crate::metrics!`] makes it.
pub trait MetricGroup {
    /// Its own declarations, in order. A family whose series are fields of their own is there once for each.
    fn own_families() -> Vec<&'static Family>;

    /// Its own declarations and those of the groups in it.
    fn families() -> Vec<&'static Family>;

    /// Calls `visitor` with every value, in the order of the declarations.
    fn visit(&self, visitor: &mut Visitor<'_>);
}

/// A type that a field of a group may have.
pub trait Measure {
    /// The kind of its family.
    const KIND: Kind;
    /// How many series it holds, distinguished by a label; 0 when it needs none.
    const SERIES: usize;

    /// Calls `each` with every value and its word.
    fn read(&self, words: &'static [&'static str], each: &mut dyn FnMut(Option<&'static str>, Reading<'_>));
}

impl Measure for Counter {
    const KIND: Kind = Kind::Counter;
    const SERIES: usize = 0;

    fn read(&self, words: &'static [&'static str], each: &mut dyn FnMut(Option<&'static str>, Reading<'_>)) {
        each(words.first().copied(), Reading::Number(self.value()));
    }
}

impl Measure for Gauge {
    const KIND: Kind = Kind::Gauge;
    const SERIES: usize = 0;

    fn read(&self, words: &'static [&'static str], each: &mut dyn FnMut(Option<&'static str>, Reading<'_>)) {
        each(words.first().copied(), Reading::Number(self.value()));
    }
}

impl Measure for Latency {
    const KIND: Kind = Kind::Histogram;
    const SERIES: usize = 0;

    fn read(&self, words: &'static [&'static str], each: &mut dyn FnMut(Option<&'static str>, Reading<'_>)) {
        each(words.first().copied(), Reading::Latency(self));
    }
}

impl<M: Measure, const N: usize> Measure for [M; N] {
    const KIND: Kind = M::KIND;
    const SERIES: usize = N;

    fn read(&self, words: &'static [&'static str], each: &mut dyn FnMut(Option<&'static str>, Reading<'_>)) {
        for (word, series) in words.iter().zip(self) {
            series.read(&[], &mut |_, reading| each(Some(word), reading));
        }
    }
}

/// A type that can hold a copy of numbers that are counted elsewhere.
pub trait Copied<T> {
    /// Replaces what it holds. For the owner only.
    fn copy_from(&self, source: T);
}

impl Copied<u64> for Counter {
    fn copy_from(&self, source: u64) {
        self.set(source);
    }
}

impl Copied<u64> for Gauge {
    fn copy_from(&self, source: u64) {
        self.set(source);
    }
}

impl<M: Copied<u64>, const N: usize> Copied<[u64; N]> for [M; N] {
    fn copy_from(&self, source: [u64; N]) {
        self.iter().zip(source).for_each(|(series, number)| series.copy_from(number));
    }
}

/// Declares a group of metrics: a struct with a field for each, whose documentation is the help.
///
/// ```
/// control::metrics! {
///     /// What a kitchen counts.
///     pub struct Kitchen {
///         /// Meals served.
///         served: control::metrics::Counter = "corelane_kitchen_meals_total",
///         /// Guests, by where they sit.
///         guests: [control::metrics::Gauge; 2] = "corelane_kitchen_guests" by "table" in ["window", "door"],
///         /// Pans.
///         clean: control::metrics::Gauge = "corelane_kitchen_pans" { state = "clean" },
///         /// Pans to be washed.
///         dirty: control::metrics::Gauge = "corelane_kitchen_pans" { state = "dirty" },
///     }
/// }
/// ```
///
/// `struct Group from Source` adds `fn publish(&self, source: &Source)`; each field then ends in `=> |source| number`.
/// `with { field: OtherGroup, }` after the fields takes other groups in.
#[macro_export]
macro_rules! metrics {
    ($(#[$meta:meta])* $vis:vis struct $group:ident from $source:ty {
        $($(#[doc = $help:literal])+ $field:ident : $type:ty = $name:literal
            $(by $label:literal in $words:path)? => $from:expr,)*
    }) => {
        $crate::metrics! {
            $(#[$meta])* $vis struct $group {
                $($(#[doc = $help])+ $field: $type = $name $(by $label in $words)?,)*
            }
        }

        impl $group {
            /// Takes over what `source` has counted. For the owner only.
            $vis fn publish(&self, source: &$source) {
                $({
                    let read: fn(&$source) -> _ = $from;
                    $crate::metrics::Copied::copy_from(&self.$field, read(source));
                })*
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis struct $group:ident {
        $($(#[doc = $help:literal])+ $field:ident : $type:ty = $name:literal
            $({ $fixed:ident = $word:literal })? $(by $label:literal in $words:expr)?,)*
    } $(with { $($(#[$part_meta:meta])* $part:ident : $part_type:ty,)* })?) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        $vis struct $group {
            $($(#[doc = $help])+ $vis $field: $type,)*
            $($($(#[$part_meta])* $vis $part: $part_type,)*)?
        }

        impl $crate::metrics::MetricGroup for $group {
            fn own_families() -> Vec<&'static $crate::metrics::Family> {
                vec![$({
                    const LABELS: &[$crate::metrics::Label] =
                        $crate::metrics!(@labels $($fixed = $word)? $($label in $words)?);
                    const FAMILY: &$crate::metrics::Family = &$crate::metrics::Family::declared(
                        $name, <$type as $crate::metrics::Measure>::KIND, LABELS, concat!($($help),+));
                    FAMILY
                },)*]
            }

            fn families() -> Vec<&'static $crate::metrics::Family> {
                #[allow(unused_mut, reason = "a group may have no other groups in it")]
                let mut families = Self::own_families();
                $($(families.extend(<$part_type as $crate::metrics::MetricGroup>::families());)*)?
                families
            }

            fn visit(&self, visitor: &mut $crate::metrics::Visitor<'_>) {
                $({
                    const LABELS: &[$crate::metrics::Label] =
                        $crate::metrics!(@labels $($fixed = $word)? $($label in $words)?);
                    const FAMILY: &$crate::metrics::Family = &$crate::metrics::Family::declared(
                        $name, <$type as $crate::metrics::Measure>::KIND, LABELS, concat!($($help),+));
                    const WORDS: &[&str] = match LABELS { [label] => label.words, _ => &[] };
                    const _: () = assert!(
                        WORDS.len() == <$type as $crate::metrics::Measure>::SERIES || $crate::metrics!(@is_fixed $($word)?));
                    $crate::metrics::Measure::read(&self.$field, WORDS, &mut |word, reading| visitor(FAMILY, word, reading));
                })*
                $($($crate::metrics::MetricGroup::visit(&self.$part, visitor);)*)?
            }
        }
    };
    (@is_fixed) => { false };
    (@is_fixed $word:literal) => { true };
    (@labels) => { &[] };
    (@labels $fixed:ident = $word:literal) => {
        &[$crate::metrics::Label { name: stringify!($fixed), words: &[$word] }]
    };
    (@labels $label:literal in $words:expr) => { &[$crate::metrics::Label { name: $label, words: &$words }] };
}
