//! One declaration per key: a field of a struct, with its documentation, its kind, its range and its default.
//!
//! ```text
//!  settings! {
//!      /// Bounds on what one client may use.
//!      pub struct EdgeLimits {
//!          /// Largest request head; beyond it 431.              help, docs/config.md, rustdoc
//!          pub header_bytes: usize = SettingKey::bytes(KIB, MIB).preset("16KiB"),
//!      }
//!  }
//! ```
//!
//! **Not**: precedence or checks, which the loader makes of the declaration.
//!
//! **Invariants**: a struct has a field for every key of its table and none besides. A field whose type does not fit the
//! kind of its key is a defect that the first test of the binary finds.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use super::{
    content::FileContent,
    schema::{Table, joined, numbered},
    tree::SettingsTree,
    value::{ControlCpu, Cores, ListenAddress, SettingValue, SocketMode, wrong_kind},
};

/// What a field of a struct of settings can be.
pub trait Field: Sized {
    /// Reads it from settings that are complete and valid.
    fn read(tree: &SettingsTree, path: &str) -> Self;
}

/// A struct that [`crate::settings!`] declares.
pub trait KeyGroup: Field {
    /// What it declares.
    const TABLE: &'static Table;
}

/// Declares a struct of settings: the table of its keys, and how it is read. See [`self`](crate::settings::declare).
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $field_visibility:vis $field:ident : $type:ty = $declaration:expr),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $visibility struct $name {
            $($(#[doc = $doc])* $field_visibility $field: $type,)*
        }

        impl $crate::settings::declare::KeyGroup for $name {
            const TABLE: &'static $crate::settings::schema::Table = &$crate::settings::schema::Table {
                items: &[$($declaration.item(stringify!($field), concat!($($doc),*))),*],
            };
        }

        impl $crate::settings::declare::Field for $name {
            fn read(tree: &$crate::settings::SettingsTree, path: &str) -> Self {
                Self {
                    $($field: $crate::settings::declare::Field::read(
                        tree,
                        &$crate::settings::schema::joined(path, stringify!($field)),
                    ),)*
                }
            }
        }
    };
}

/// Declares an enum that is set by one of a few words; `WORDS` are those words, for [`super::kind::Kind::Choice`].
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $about:literal])*
        $visibility:vis enum $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal),* $(,)? }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[doc = $doc])* $variant,)*
        }

        impl $name {
            /// The words an operator writes, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl $crate::settings::declare::Field for $name {
            fn read(tree: &$crate::settings::SettingsTree, path: &str) -> Self {
                match tree.word(path) {
                    $($word => Self::$variant,)*
                    other => unreachable!("{path} is one of the words declared, not {other}"),
                }
            }
        }
    };
}

macro_rules! number_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(tree: &SettingsTree, path: &str) -> Self {
                match tree.value(path) {
                    Some(SettingValue::Bytes(number) | SettingValue::Count(number)) => {
                        Self::try_from(*number).ok().expect("the key's range is within the field's type")
                    }
                    other => wrong_kind(path, other),
                }
            }
        }
    )*};
}

number_field!(u8, u16, u32, u64, usize);

macro_rules! value_field {
    ($($type:ty => $variant:ident),*) => {$(
        impl Field for $type {
            fn read(tree: &SettingsTree, path: &str) -> Self {
                match tree.value(path) {
                    Some(SettingValue::$variant(value)) => value.clone(),
                    other => wrong_kind(path, other),
                }
            }
        }
    )*};
}

value_field!(
    Duration => Duration,
    bool => Bool,
    ListenAddress => Address,
    SocketMode => SocketMode,
    Cores => Cores,
    ControlCpu => ControlCpu,
    PathBuf => Path,
    String => Text,
    BTreeMap<String, String> => TextMap,
    FileContent => Content
);

/// Shared, so that a copy of the settings costs nothing where tables are many.
impl<T: Field> Field for Arc<T> {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        Self::new(T::read(tree, path))
    }
}

/// A key that may be without a value.
impl<T: Field> Field for Option<T> {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        tree.value(path).is_some().then(|| T::read(tree, path))
    }
}

/// Empty where nothing is set.
impl Field for Vec<ListenAddress> {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        match tree.value(path) {
            Some(SettingValue::Addresses(addresses)) => addresses.clone(),
            None => Self::new(),
            other => wrong_kind(path, other),
        }
    }
}

/// Empty where nothing is set.
impl Field for Vec<String> {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        match tree.value(path) {
            Some(SettingValue::Texts(texts)) => texts.clone(),
            None => Self::new(),
            other => wrong_kind(path, other),
        }
    }
}

/// A list, in the order of the files.
impl<T: KeyGroup> Field for Vec<T> {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        (1..=tree.listed(path)).map(|number| T::read(tree, &numbered(path, number))).collect()
    }
}

/// Named tables.
impl<T: KeyGroup> Field for BTreeMap<String, T> {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        tree.named(path).map(|name| (name.to_owned(), T::read(tree, &joined(path, name)))).collect()
    }
}
