//! The values a setting can hold, once read and checked.
//!
//! **Not**: where a value came from ([`super::origin`]) or what is allowed ([`super::kind`]).
//!
//! **Invariants**: a [`SettingValue`] was accepted by the kind of its key. Lists are not empty and hold no duplicate.
//!
//! **Source**: docs/config.md.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use super::{
    content::FileContent,
    quantity::{format_bytes, format_duration},
};

/// What a Unix socket's address starts with.
const UNIX_PREFIX: &str = "unix:";

/// Longest path of a Unix socket, in bytes: `sun_path` holds 108 with the terminating zero (unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Where a listener accepts connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An IP address and a port; port 0 lets the kernel choose one.
    Tcp(SocketAddr),
    /// The absolute path of a Unix stream socket.
    Unix(PathBuf),
}

/// The text is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address with a port (\"127.0.0.1:8080\", \"[::1]:8080\") or \"unix:/absolute/path\"")]
pub struct ListenAddressError;

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let Some(path) = text.strip_prefix(UNIX_PREFIX) else {
            // An IPv4 address in the form of an IPv6 one: sockets of IPv6 are of IPv6 alone, so that no start could use it.
            let is_usable = |address: &SocketAddr| match address.ip() {
                IpAddr::V6(ip) => ip.to_ipv4_mapped().is_none(),
                IpAddr::V4(_) => true,
            };
            return text.parse().ok().filter(is_usable).map(Self::Tcp).ok_or(ListenAddressError);
        };
        let usable = path.starts_with('/') && path.len() <= UNIX_PATH_BYTES_MAX && !path.contains('\0');
        if usable { Ok(Self::Unix(PathBuf::from(path))) } else { Err(ListenAddressError) }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

/// The mode of a Unix socket's file: who may connect. Its owner may in any case, since a start finds out by a connection whether
/// the file that it meets belongs to a living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(u32);

impl SocketMode {
    /// The smallest mode, as an octal number: the owner alone.
    pub const MIN: u32 = 0o600;
    /// The largest mode: everybody.
    pub const MAX: u32 = 0o777;

    /// The permission bits, [`SocketMode::MIN`] to [`SocketMode::MAX`].
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// The text is no mode of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not four octal digits from \"0600\" to \"0777\"")]
pub struct SocketModeError;

impl FromStr for SocketMode {
    type Err = SocketModeError;

    fn from_str(text: &str) -> Result<Self, SocketModeError> {
        let is_octal = text.len() == 4 && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let bits = if is_octal { u32::from_str_radix(text, 8).ok() } else { None };
        bits.filter(|bits| (Self::MIN..=Self::MAX).contains(bits)).map(Self).ok_or(SocketModeError)
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Which CPUs the data cores are pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// One data core on every CPU this process may run on.
    Auto,
    /// Those of the map of cores ([`crate::core_map`]).
    Profile,
    /// These CPUs as the kernel numbers them, in the order given, each once.
    Cpus(Vec<u16>),
}

/// Which CPU the control thread is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlCpu {
    /// That of the map of cores, where there is one; else the scheduler decides.
    Auto,
    /// This CPU, as the kernel numbers it.
    Cpu(u16),
}

/// A value of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingValue {
    /// A size in bytes.
    Bytes(u64),
    /// A duration, to the nanosecond.
    Duration(Duration),
    /// A plain number.
    Count(u64),
    /// True or false.
    Bool(bool),
    /// One address to listen on.
    Address(ListenAddress),
    /// Several addresses to listen on.
    Addresses(Vec<ListenAddress>),
    /// The mode of Unix sockets.
    SocketMode(SocketMode),
    /// The CPUs to run on.
    Cores(Cores),
    /// The CPU of the control thread.
    ControlCpu(ControlCpu),
    /// One word out of a fixed list.
    Choice(&'static str),
    /// A path in the file system.
    Path(PathBuf),
    /// Text without further meaning to the loader.
    Text(String),
    /// Several of them.
    Texts(Vec<String>),
    /// Texts by name.
    TextMap(BTreeMap<String, String>),
    /// A file, and what is in it.
    Content(FileContent),
}

impl SettingValue {
    /// The value as a TOML expression that reads back as this value.
    #[must_use]
    pub fn to_toml(&self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::ControlCpu(ControlCpu::Cpu(cpu)) => cpu.to_string(),
            Self::Bool(on) => on.to_string(),
            Self::Addresses(addresses) => {
                let quoted: Vec<String> = addresses.iter().map(|address| quote(&address.to_string())).collect();
                format!("[{}]", quoted.join(", "))
            }
            Self::Texts(texts) => {
                let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
                format!("[{}]", quoted.join(", "))
            }
            Self::Cores(Cores::Cpus(cpus)) => {
                let numbers: Vec<String> = cpus.iter().map(u16::to_string).collect();
                format!("[{}]", numbers.join(", "))
            }
            Self::TextMap(texts) => {
                let pairs: Vec<String> =
                    texts.iter().map(|(name, text)| format!("{} = {}", quote(name), quote(text))).collect();
                format!("{{ {} }}", pairs.join(", "))
            }
            Self::Bytes(_)
            | Self::Duration(_)
            | Self::Address(_)
            | Self::SocketMode(_)
            | Self::Cores(Cores::Auto | Cores::Profile)
            | Self::ControlCpu(ControlCpu::Auto)
            | Self::Choice(_)
            | Self::Path(_)
            | Self::Content(_)
            | Self::Text(_) => quote(&self.to_string()),
        }
    }

    /// The value as JSON: counts are numbers, lists arrays, everything with a unit text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Count(count) => (*count).into(),
            Self::ControlCpu(ControlCpu::Cpu(cpu)) => (*cpu).into(),
            Self::Bool(on) => (*on).into(),
            Self::Addresses(addresses) => addresses.iter().map(ListenAddress::to_string).collect(),
            Self::Texts(texts) => texts.iter().map(String::as_str).collect(),
            Self::Cores(Cores::Cpus(cpus)) => cpus.iter().copied().collect(),
            Self::TextMap(texts) => {
                let pairs = texts.iter().map(|(name, text)| (name.clone(), text.as_str().into()));
                serde_json::Value::Object(pairs.collect())
            }
            // Other bytes in the same file are another value.
            Self::Content(content) => {
                serde_json::json!({ "path": self.to_string(), "sha256": content.digest() })
            }
            _ => self.to_string().into(),
        }
    }

    /// The value as a number for comparison with another value of the same kind: bytes, nanoseconds or the count itself;
    /// `None` for kinds that have no order.
    #[must_use]
    pub(super) fn magnitude(&self) -> Option<u128> {
        match self {
            Self::Bytes(amount) | Self::Count(amount) => Some(u128::from(*amount)),
            Self::Duration(duration) => Some(duration.as_nanos()),
            _ => None,
        }
    }

    /// A relative path made relative to `folder`; every other value as it is, `-` among them, which names no file.
    #[must_use]
    pub(super) fn resolved_in(self, folder: &Path) -> Self {
        match self {
            Self::Path(path) if path.as_os_str() != "-" => Self::Path(folder.join(path)),
            Self::Content(content) => Self::Content(content.moved(|path| folder.join(path))),
            other => other,
        }
    }

    /// As [`SettingValue::resolved_in`], and without the parts of a path that lead nowhere, so that one file has one text
    /// whichever folder it is named from. Links are not followed.
    #[must_use]
    pub(super) fn absolute_from(self, folder: &Path) -> Self {
        match self.resolved_in(folder) {
            // Of a path that is absolute already, only the text is looked at.
            Self::Path(path) if path.is_absolute() => Self::Path(std::path::absolute(&path).unwrap_or(path)),
            Self::Content(content) if content.path().is_absolute() => {
                Self::Content(content.moved(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())))
            }
            other => other,
        }
    }
}

/// The value as an operator writes it in a flag or in the environment.
impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.write_str(&format_bytes(*bytes)),
            Self::Duration(duration) => f.write_str(&format_duration(*duration)),
            Self::Count(count) => write!(f, "{count}"),
            Self::Bool(on) => write!(f, "{on}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::SocketMode(mode) => write!(f, "{mode}"),
            Self::Addresses(addresses) => write_list(f, addresses),
            Self::Cores(Cores::Auto) | Self::ControlCpu(ControlCpu::Auto) => f.write_str("auto"),
            Self::Cores(Cores::Profile) => f.write_str("profile"),
            Self::ControlCpu(ControlCpu::Cpu(cpu)) => write!(f, "{cpu}"),
            Self::Cores(Cores::Cpus(cpus)) => write_list(f, cpus),
            Self::Choice(word) => f.write_str(word),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) => write_list(f, texts),
            Self::TextMap(texts) => {
                let pairs: Vec<String> = texts.iter().map(|(name, text)| format!("{name}={text}")).collect();
                write_list(f, &pairs)
            }
            Self::Content(content) => write!(f, "{}", content.path().display()),
        }
    }
}

fn write_list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

/// `text` as a TOML string on one line, quoted and escaped as needed.
///
/// A basic string is written rather than whatever form suits the text best, because a comment follows on the same line.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// A defect of ours, which the first test of the binary finds.
pub(super) fn wrong_kind(path: &str, value: Option<&SettingValue>) -> ! {
    panic!("the field at {path} does not fit its key, which holds {value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read_and_written() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/corelane/http.sock"] {
            assert_eq!(text.parse::<ListenAddress>().expect("a good address").to_string(), text);
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_BYTES_MAX));
        for text in [
            "",
            "8080",
            ":8080",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:65536",
            "unix:",
            "unix:run/x",
            &long,
            "[::ffff:127.0.0.1]:80",
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(ListenAddressError), "{text:?}");
        }
    }

    #[test]
    fn modes_of_sockets_are_four_octal_digits_with_which_the_owner_can_connect() {
        for (text, bits) in [("0600", 0o600), ("0660", 0o660), ("0777", 0o777)] {
            let mode: SocketMode = text.parse().expect("a good mode");
            assert_eq!((mode.bits(), mode.to_string().as_str()), (bits, text));
        }
        for text in ["", "660", "0o660", "0066", "0577", "1777", "0680", "+660", "rw-rw----"] {
            assert_eq!(text.parse::<SocketMode>(), Err(SocketModeError), "{text:?}");
        }
    }

    #[test]
    fn quoted_text_is_one_line_of_toml() {
        for text in ["plain", "a \"b\" \\ c", "two\nlines\ttab", "é🦀", "\u{7f}\u{85}"] {
            let quoted = quote(text);
            assert_eq!(quoted.lines().count(), 1);
            let document = toml_edit::Document::parse(format!("k = {quoted}")).expect("valid TOML");
            assert_eq!(document.as_table()["k"].as_str(), Some(text));
        }
    }
}
