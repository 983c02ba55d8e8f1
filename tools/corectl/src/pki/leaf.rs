//! A certificate of the folder, by its name.
//!
//! **Invariants**: a name is `ROLE-ID` with an id that fits the role; it has no `/` and is a file's name.

use std::fmt;
use std::str::FromStr;

use corelane_pki::HolderRole;

/// `ROLE-ID`, such as `node-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeafName {
    role: HolderRole,
    id: String,
}

impl LeafName {
    /// A name.
    ///
    /// # Errors
    /// The id does not fit the role.
    pub fn new(role: HolderRole, id: &str) -> Result<Self, corelane_pki::PkiError> {
        role.check_id(id)?;
        Ok(Self { role, id: id.to_owned() })
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> HolderRole {
        self.role
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for LeafName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.role, self.id))
    }
}

impl FromStr for LeafName {
    type Err = String;

    /// Reads `ROLE-ID`, and the names of its files.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix(".pem").or_else(|| text.strip_suffix(".key")).unwrap_or(text);
        let Some((role, id)) = name.split_once('-') else {
            return Err(format!("{text:?}: ROLE-ID, such as node-1"));
        };
        Self::new(role.parse()?, id).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        for text in ["node-1", "edge-a-b.c", "operator-alice", "server-www.example.org"] {
            assert_eq!(text.parse::<LeafName>().unwrap().to_string(), text);
        }
        assert_eq!("edge-a.pem".parse::<LeafName>(), "edge-a.key".parse());
        for bad in ["", "node", "node-", "node-x", "other-a", "edge-../a", "edge-/a", "ca", "-1"] {
            assert!(bad.parse::<LeafName>().is_err(), "{bad}");
        }
    }
}
