//! What a key allows: the kind of its value and the range, and the reading of text and TOML into a checked [`SettingValue`].
//!
//! **Not**: reporting. A refused value is `None` here; the caller knows where it stood and asks [`Kind::allowed`] for the
//! sentence about what would have been accepted.
//!
//! **Invariants**: a value that is returned is within the kind's range; a text accepted from a flag, from the environment
//! or from a TOML string means the same in all three.
//!
//! **Source**: docs/config.md; `cpuset(7)` for the list format of CPUs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    content::FileContent,
    quantity::{
        BYTE_UNITS_TEXT, DURATION_UNITS_TEXT, format_bytes, format_duration, parse_bytes, parse_count, parse_duration,
    },
    value::{ControlCpu, Cores, ListenAddress, SettingValue, SocketMode},
};

/// Most addresses one process listens on. Each data core has a socket for each of them, so the product must stay small.
pub const LISTEN_ADDRESSES_MAX: usize = 64;

/// Most data cores of one process: the shard protocol names a core in one byte.
pub const CORES_MAX: usize = 256;

/// Highest CPU number: Linux is never built for more than 8192 CPUs.
pub const CPU_MAX: u16 = 8191;

/// Longest path, in bytes: `PATH_MAX` of Linux with its terminating zero is 4096.
const PATH_BYTES_MAX: usize = 4095;

/// The kind of a key's value, with its range. Ranges include both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A size in bytes.
    Bytes {
        /// Smallest size, in bytes.
        min: u64,
        /// Largest size, in bytes.
        max: u64,
    },
    /// A duration.
    Duration {
        /// Shortest duration.
        min: Duration,
        /// Longest duration.
        max: Duration,
    },
    /// A plain number.
    Count {
        /// Smallest number.
        min: u64,
        /// Largest number.
        max: u64,
    },
    /// True or false.
    Bool,
    /// One address to listen on.
    Address,
    /// One to [`LISTEN_ADDRESSES_MAX`] different addresses to listen on.
    Addresses,
    /// The mode of Unix sockets.
    SocketMode,
    /// `auto`, `profile`, or one to [`CORES_MAX`] different CPUs.
    Cores,
    /// `auto`, or one CPU.
    ControlCpu,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A path; not empty.
    Path,
    /// Text of one to this many bytes.
    Text {
        /// Longest text, in bytes.
        bytes_max: usize,
    },
    /// One to `count_max` different texts, each of one to `bytes_max` bytes.
    Texts {
        /// Most texts.
        count_max: usize,
        /// Longest text, in bytes.
        bytes_max: usize,
    },
    /// Texts by name.
    TextMap {
        /// Most of them.
        count_max: usize,
        /// Longest name, and longest text, in bytes.
        bytes_max: usize,
    },
    /// A path whose file is read with the settings.
    Content {
        /// Largest file, in bytes.
        bytes_max: usize,
    },
}

impl Kind {
    /// Reads the value as a flag, the environment or a TOML string spells it; `None` when it is not allowed.
    #[must_use]
    pub fn parse_text(&self, text: &str) -> Option<SettingValue> {
        let value = match self {
            Self::Bytes { .. } => SettingValue::Bytes(parse_bytes(text)?),
            Self::Duration { .. } => SettingValue::Duration(parse_duration(text)?),
            Self::Count { .. } => SettingValue::Count(parse_count(text)?),
            Self::Bool => SettingValue::Bool(text.parse().ok()?),
            Self::Address => SettingValue::Address(text.parse().ok()?),
            Self::Addresses => SettingValue::Addresses(parse_addresses(text.split(','))?),
            Self::SocketMode => SettingValue::SocketMode(text.parse().ok()?),
            Self::Cores => SettingValue::Cores(parse_cores(text)?),
            Self::ControlCpu if text == "auto" => SettingValue::ControlCpu(ControlCpu::Auto),
            Self::ControlCpu => SettingValue::ControlCpu(ControlCpu::Cpu(parse_cpu(text)?)),
            Self::Choice(words) => SettingValue::Choice(words.iter().find(|word| **word == text)?),
            Self::Path => SettingValue::Path(PathBuf::from(text)),
            Self::Text { .. } => SettingValue::Text(text.to_owned()),
            Self::Texts { .. } => SettingValue::Texts(text.split(',').map(str::to_owned).collect()),
            Self::TextMap { .. } => return None,
            Self::Content { .. } => SettingValue::Content(FileContent::unread(PathBuf::from(text))),
        };
        self.accepts(&value).then_some(value)
    }

    /// Reads the value from a TOML value; `None` when it is not allowed. Counts and booleans must be TOML integers and
    /// booleans, what has a unit must be a string, and lists may also be arrays.
    #[must_use]
    pub fn parse_toml(&self, item: &toml_edit::Value) -> Option<SettingValue> {
        let value = match (self, item) {
            (Self::Count { .. }, toml_edit::Value::Integer(number)) => {
                SettingValue::Count(u64::try_from(*number.value()).ok()?)
            }
            (Self::Bool, toml_edit::Value::Boolean(on)) => SettingValue::Bool(*on.value()),
            (Self::Count { .. } | Self::Bool, _) => return None,
            (Self::Addresses, toml_edit::Value::Array(array)) => {
                let texts: Vec<&str> = array.iter().map(toml_edit::Value::as_str).collect::<Option<_>>()?;
                SettingValue::Addresses(parse_addresses(texts.into_iter())?)
            }
            (Self::Texts { .. }, toml_edit::Value::Array(array)) => {
                let text = |item: &toml_edit::Value| item.as_str().map(str::to_owned);
                SettingValue::Texts(array.iter().map(text).collect::<Option<_>>()?)
            }
            (Self::Cores, toml_edit::Value::Array(array)) => {
                let cpu = |number: &toml_edit::Value| u16::try_from(number.as_integer()?).ok();
                SettingValue::Cores(Cores::Cpus(array.iter().map(cpu).collect::<Option<_>>()?))
            }
            (Self::ControlCpu, toml_edit::Value::Integer(number)) => {
                SettingValue::ControlCpu(ControlCpu::Cpu(u16::try_from(*number.value()).ok()?))
            }
            (Self::TextMap { .. }, toml_edit::Value::InlineTable(table)) => return self.parse_table(table),
            (_, toml_edit::Value::String(text)) => return self.parse_text(text.value()),
            _ => return None,
        };
        self.accepts(&value).then_some(value)
    }

    /// Reads the value from a TOML table, written in one line or as a section of its own; `None` when it is not allowed.
    #[must_use]
    pub fn parse_table(&self, table: &dyn toml_edit::TableLike) -> Option<SettingValue> {
        let Self::TextMap { .. } = self else { return None };
        let text = |(name, item): (&str, &toml_edit::Item)| Some((name.to_owned(), item.as_str()?.to_owned()));
        let value = SettingValue::TextMap(table.iter().map(text).collect::<Option<_>>()?);
        self.accepts(&value).then_some(value)
    }

    /// Whether `value` is within the range of this kind.
    fn accepts(&self, value: &SettingValue) -> bool {
        match (self, value) {
            (Self::Bytes { min, max }, SettingValue::Bytes(amount))
            | (Self::Count { min, max }, SettingValue::Count(amount)) => (min..=max).contains(&amount),
            (Self::Duration { min, max }, SettingValue::Duration(duration)) => (min..=max).contains(&duration),
            (Self::Addresses, SettingValue::Addresses(list)) => list.len() <= LISTEN_ADDRESSES_MAX && is_set(list),
            (Self::Cores, SettingValue::Cores(Cores::Cpus(list))) => {
                list.len() <= CORES_MAX && is_set(list) && list.iter().all(|cpu| *cpu <= CPU_MAX)
            }
            (Self::ControlCpu, SettingValue::ControlCpu(ControlCpu::Cpu(cpu))) => *cpu <= CPU_MAX,
            (Self::Path, SettingValue::Path(path)) => is_path(path),
            (Self::Content { .. }, SettingValue::Content(content)) => is_path(content.path()),
            (Self::TextMap { count_max, bytes_max }, SettingValue::TextMap(texts)) => {
                (1..=*count_max).contains(&texts.len())
                    && texts
                        .iter()
                        .all(|(name, text)| (1..=*bytes_max).contains(&name.len()) && text.len() <= *bytes_max)
            }
            (Self::Text { bytes_max }, SettingValue::Text(text)) => (1..=*bytes_max).contains(&text.len()),
            (Self::Texts { count_max, bytes_max }, SettingValue::Texts(list)) => {
                // A comma would part a text where it is given as a flag or in the environment.
                let is_text = |text: &String| (1..=*bytes_max).contains(&text.len()) && !text.contains(',');
                list.len() <= *count_max && is_set(list) && list.iter().all(is_text)
            }
            _ => true,
        }
    }

    /// The range alone, as a table shows it: `1KiB to 1MiB`.
    #[must_use]
    pub fn range(&self) -> String {
        match self {
            Self::Bytes { min, max } => format!("{} to {}", format_bytes(*min), format_bytes(*max)),
            Self::Duration { min, max } => format!("{} to {}", format_duration(*min), format_duration(*max)),
            Self::Count { min, max } => format!("{min} to {max}"),
            Self::Bool => "true or false".to_owned(),
            Self::Address => "an IP address with a port, or \"unix:/absolute/path\"".to_owned(),
            Self::Addresses => format!("1 to {LISTEN_ADDRESSES_MAX} different addresses"),
            Self::SocketMode => format!("\"{:04o}\" to \"{:04o}\"", SocketMode::MIN, SocketMode::MAX),
            Self::Cores => format!("\"auto\", \"profile\", or 1 to {CORES_MAX} different CPUs"),
            Self::ControlCpu => "\"auto\", or a CPU".to_owned(),
            Self::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<String>>().join(" or "),
            Self::Path => "a path".to_owned(),
            Self::Text { bytes_max } => format!("text of 1 to {bytes_max} bytes"),
            Self::Texts { count_max, bytes_max } => {
                format!("1 to {count_max} different texts of 1 to {bytes_max} bytes without a comma")
            }
            Self::TextMap { count_max, bytes_max } => {
                format!("1 to {count_max} names with texts of at most {bytes_max} bytes")
            }
            Self::Content { bytes_max } => format!("the path of a file of at most {}", format_bytes(*bytes_max as u64)),
        }
    }

    /// What is allowed, as an error message says it: the form, the range and an example.
    #[must_use]
    pub fn allowed(&self) -> String {
        let range = self.range();
        match self {
            Self::Bytes { .. } => format!("a size from {range}, a whole number with a unit ({BYTE_UNITS_TEXT})"),
            Self::Duration { .. } => {
                format!("a duration from {range}, a whole number with a unit ({DURATION_UNITS_TEXT})")
            }
            Self::Count { .. } => format!("a count from {range}, without a unit"),
            Self::Addresses => {
                format!("{range}, each an IP address with a port (\"127.0.0.1:8080\") or \"unix:/absolute/path\"")
            }
            Self::SocketMode => format!("{range}, four octal digits in quotes"),
            Self::Cores => format!("{range} numbered 0 to {CPU_MAX} ([0, 2, 4] or \"0-3,8\")"),
            Self::ControlCpu => format!("{range} numbered 0 to {CPU_MAX}"),
            Self::Path => format!("{range}, not empty, at most {PATH_BYTES_MAX} bytes"),
            Self::TextMap { .. } => format!("{range} ({{ NAME = \"text\" }})"),
            Self::Bool
            | Self::Address
            | Self::Choice(_)
            | Self::Text { .. }
            | Self::Texts { .. }
            | Self::Content { .. } => range,
        }
    }
}

fn is_path(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    (1..=PATH_BYTES_MAX).contains(&bytes.len()) && !bytes.contains(&0)
}

fn parse_addresses<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Vec<ListenAddress>> {
    texts.map(|text| text.parse().ok()).collect()
}

/// Reads `auto`, `profile`, or CPUs and spans of CPUs separated by commas: `0-3,8`.
fn parse_cores(text: &str) -> Option<Cores> {
    match text {
        "auto" => return Some(Cores::Auto),
        "profile" => return Some(Cores::Profile),
        _ => {}
    }
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_cpu(first)?, parse_cpu(last)?);
        // An inverted span is a slip of the hand, not an empty list.
        if first > last {
            return None;
        }
        cpus.extend(first..=last);
        // Checked while the list grows, so that a hostile text cannot make it long.
        if cpus.len() > CORES_MAX {
            return None;
        }
    }
    Some(Cores::Cpus(cpus))
}

fn parse_cpu(text: &str) -> Option<u16> {
    parse_count(text).and_then(|number| u16::try_from(number).ok()).filter(|cpu| *cpu <= CPU_MAX)
}

/// Whether the list has an element and none twice. Quadratic, for lists that are bounded by a few hundred elements.
fn is_set<T: PartialEq>(list: &[T]) -> bool {
    !list.is_empty() && list.iter().enumerate().all(|(index, item)| !list[..index].contains(item))
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
