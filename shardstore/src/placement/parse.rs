//! Reads a topology file.
//!
//! ```toml
//! cluster = "production"        # 1 to 63 of a-z A-Z 0-9 . _ -
//! epoch = 1                     # raised with every change
//! hash_seed = 0x5eed            # optional: keeps clients from choosing colliding keys
//!
//! [[node]]
//! id = 1                        # unique, never given to another machine while it holds data
//! address = "10.0.0.1:7401"
//! weight = 1.0                  # optional: share of the slots relative to the others
//! zone = "a"                    # optional
//!
//! [[assign]]                    # optional: overrides the proposal for these slots
//! slots = "0-5460"
//! node = 1
//! ```
//!
//! **Not**: reading the file, or comparing it with the one in force.
//!
//! **Invariants**: a file is taken whole or refused whole, with every fault that does not follow from another; nothing is guessed.
//!
//! **Source**: TOML 1.0.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;

use toml_edit::{Document, Item, Table};

use super::address::NodeAddress;
use super::error::{TopologyError, TopologyFault as Fault};
use super::node::{NODE_ID_MAX, Node, NodeId, WEIGHT_MILLI_MAX, WEIGHT_MILLI_MIN};
use super::range::SlotRange;
use super::topology::{NODES_MAX, Topology, TopologyDraft};
use crate::key::SLOT_COUNT;
use crate::wire::hello::CLUSTER_NAME_BYTES_MAX;
use crate::wire::topology::TOPOLOGY_BYTES_MAX;

/// Faults that are reported of one file at most: whoever has made more begins with these.
const FAULTS_MAX: usize = 20;

/// Longest name of a zone in bytes.
const ZONE_BYTES_MAX: usize = 63;

/// What may be at the top of the file.
const TOP_KEYS: &[&str] = &["cluster", "epoch", "hash_seed", "node", "assign"];
/// What may be in a `[[node]]`.
const NODE_KEYS: &[&str] = &["id", "address", "weight", "zone"];
/// What may be in an `[[assign]]`.
const ASSIGN_KEYS: &[&str] = &["slots", "node"];

/// A remedy for values whose allowed range says it all.
const CORRECT_IT: &str = "correct the value";

impl Topology {
    /// Reads a topology from the text of its file.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] with all faults found; the operator who wrote the file is at fault.
    pub fn parse(text: &str) -> Result<Self, TopologyError> {
        Parser { text, faults: RefCell::default() }.parse()
    }
}

/// What is said about a fault, beside where it is.
struct Complaint<'a> {
    fault: Fault,
    found: String,
    allowed: &'a str,
    remedy: &'a str,
}

/// A table of the file and the name under which its keys are reported.
#[derive(Clone, Copy)]
struct Section<'a> {
    table: &'a Table,
    prefix: &'static str,
}

/// A value of the file with its place.
#[derive(Clone, Copy)]
struct Entry<'a> {
    item: &'a Item,
    prefix: &'static str,
    key: &'static str,
}

struct Parser<'a> {
    text: &'a str,
    /// What was found so far.
    faults: RefCell<Vec<TopologyError>>,
}

impl Parser<'_> {
    fn parse(&self) -> Result<Topology, TopologyError> {
        if self.text.len() > TOPOLOGY_BYTES_MAX {
            return Err(self.error(0, "file", too_large(self.text.len())));
        }
        let document = Document::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, "file", syntax(error.message()))
        })?;
        let top = Section { table: document.as_table(), prefix: "" };
        self.check_keys(top, TOP_KEYS);
        let cluster = self.keep(self.cluster(top));
        let epoch = self.keep(self.epoch(top));
        let hash_seed = self.keep(self.hash_seed(top));
        let nodes = self.keep(self.nodes(top)).flatten();
        let assigned = self.keep(self.assigned(top, nodes.as_deref()));
        if let Some(error) = TopologyError::of(&self.faults.borrow()) {
            return Err(error);
        }
        const NO_FAULT: &str = "what could not be read is a fault";
        let plan = TopologyDraft {
            cluster: cluster.expect(NO_FAULT),
            epoch: epoch.expect(NO_FAULT),
            hash_seed: hash_seed.expect(NO_FAULT),
            assigned: assigned.expect(NO_FAULT),
            nodes: nodes.expect(NO_FAULT),
        };
        Ok(Topology::from_plan(plan, self.text))
    }

    /// Notes a fault, and goes on.
    fn keep<T>(&self, read: Result<T, TopologyError>) -> Option<T> {
        read.map_err(|fault| self.note(fault)).ok()
    }

    fn note(&self, fault: TopologyError) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < FAULTS_MAX {
            faults.push(fault);
        }
    }

    fn cluster(&self, top: Section<'_>) -> Result<String, TopologyError> {
        let entry = self.required(top, "cluster")?;
        let name = self.string(entry)?;
        self.name(entry, name, Fault::BadCluster, 1..=CLUSTER_NAME_BYTES_MAX)
    }

    fn epoch(&self, top: Section<'_>) -> Result<u32, TopologyError> {
        let entry = self.required(top, "epoch")?;
        self.positive(entry, Fault::BadEpoch, u32::MAX, "raise it by one with every change of the file")
    }

    fn hash_seed(&self, top: Section<'_>) -> Result<Option<u64>, TopologyError> {
        let Some(entry) = optional(top, "hash_seed") else { return Ok(None) };
        let value = self.integer(entry)?;
        u64::try_from(value).map(Some).map_err(|_| {
            let allowed = "an integer from 0 to 9223372036854775807";
            self.at(entry, complaint(Fault::BadHashSeed, value, allowed, CORRECT_IT))
        })
    }

    /// The nodes; nothing where something is wrong with one of them, which is noted.
    fn nodes(&self, top: Section<'_>) -> Result<Option<Vec<Node>>, TopologyError> {
        let sections = self.sections(top, "node", "node.")?;
        if sections.is_empty() || sections.len() > NODES_MAX {
            let allowed = format!("1 to {NODES_MAX} [[node]] sections");
            let remedy = "list every node of the cluster in a [[node]] section";
            return Err(self.error(0, "node", complaint(Fault::NodeCount, sections.len(), &allowed, remedy)));
        }
        let mut nodes = Vec::with_capacity(sections.len());
        let (mut ids, mut addresses) = (HashMap::new(), HashMap::new());
        let faults = self.faults.borrow().len();
        for section in sections {
            let Some(node) = self.node(section) else { continue };
            if let Some(line) = ids.insert(node.id, self.line_of(section)) {
                let entry = self.required(section, "id")?;
                let found = format!("{}, the id of the node at line {line}", node.id);
                let remedy = "give each node its own id";
                self.note(self.at(entry, complaint(Fault::DuplicateNodeId, found, "an id used once", remedy)));
            }
            if let Some(line) = addresses.insert(node.address.clone(), self.line_of(section)) {
                let entry = self.required(section, "address")?;
                let found = format!("{}, the address of the node at line {line}", node.address);
                let remedy = "give each node its own address";
                self.note(self.at(entry, complaint(Fault::DuplicateAddress, found, "an address used once", remedy)));
            }
            nodes.push(node);
        }
        Ok((self.faults.borrow().len() == faults).then_some(nodes))
    }

    /// A node; nothing where something of it is wrong, which is noted.
    fn node(&self, section: Section<'_>) -> Option<Node> {
        self.check_keys(section, NODE_KEYS);
        let id = self.required(section, "id");
        let id =
            id.and_then(|id| self.positive(id, Fault::BadNodeId, NODE_ID_MAX, "give each node its own id, from 1"));
        let id = self.keep(id);
        let address = self.keep(self.required(section, "address").and_then(|entry| self.address(entry)));
        let weight = optional(section, "weight").map_or(Ok(1000), |entry| self.weight(entry));
        let weight_milli = self.keep(weight);
        let zone = optional(section, "zone").map_or(Ok(String::new()), |entry| {
            self.name(entry, self.string(entry)?, Fault::BadZone, 0..=ZONE_BYTES_MAX)
        });
        let zone = self.keep(zone);
        Some(Node { id: NodeId(id?), address: address?, weight_milli: weight_milli?, zone: zone? })
    }

    fn address(&self, entry: Entry<'_>) -> Result<NodeAddress, TopologyError> {
        let text = self.string(entry)?;
        NodeAddress::parse(text).ok_or_else(|| {
            let allowed = "an IP address or a host's name, and a port, such as \"10.0.0.1:7401\", \"[fd00::1]:7401\" or \"node-1:7401\"";
            let remedy = "write the address that edges connect to";
            self.at(entry, complaint(Fault::BadAddress, format!("{text:?}"), allowed, remedy))
        })
    }

    fn weight(&self, entry: Entry<'_>) -> Result<u32, TopologyError> {
        let weight = match (entry.item.as_float(), entry.item.as_integer()) {
            (Some(weight), _) => weight,
            (None, Some(weight)) => weight as f64,
            (None, None) => return Err(self.wrong_type(entry, "a number")),
        };
        let milli = (weight * 1000.0).round();
        if milli >= f64::from(WEIGHT_MILLI_MIN) && milli <= f64::from(WEIGHT_MILLI_MAX) {
            return Ok(milli as u32);
        }
        let remedy = "to take slots from a node, remove it or assign its slots to others";
        Err(self.at(entry, complaint(Fault::BadWeight, weight, "0.001 to 1000", remedy)))
    }

    /// `nodes`: nothing where some of them could not be read.
    fn assigned(&self, top: Section<'_>, nodes: Option<&[Node]>) -> Result<Vec<(SlotRange, NodeId)>, TopologyError> {
        let mut taken = vec![0_usize; usize::from(SLOT_COUNT)];
        let mut assigned = Vec::new();
        for section in self.sections(top, "assign", "assign.")? {
            self.check_keys(section, ASSIGN_KEYS);
            let assignee = self.keep(self.assignee(section, nodes));
            let Some(entry) = self.keep(self.required(section, "slots")) else { continue };
            let Some(range) = self.keep(self.slots(entry)) else { continue };
            if let Some(slot) = range.indices().find(|&slot| taken[slot] != 0) {
                let found = format!("slot {slot}, which is already assigned at line {}", taken[slot]);
                let remedy = "assign each slot once";
                self.note(self.at(entry, complaint(Fault::OverlappingSlots, found, "slots assigned once", remedy)));
            }
            taken[range.indices()].fill(self.line_of(section));
            assigned.extend(assignee.map(|assignee| (range, assignee)));
        }
        Ok(assigned)
    }

    fn slots(&self, entry: Entry<'_>) -> Result<SlotRange, TopologyError> {
        let text = self.string(entry)?;
        SlotRange::parse(text).ok_or_else(|| {
            let allowed = "a slot or an ascending range of slots from 0 to 16383, such as \"0-5460\"";
            self.at(entry, complaint(Fault::BadSlots, format!("{text:?}"), allowed, CORRECT_IT))
        })
    }

    fn assignee(&self, section: Section<'_>, nodes: Option<&[Node]>) -> Result<NodeId, TopologyError> {
        let entry = self.required(section, "node")?;
        let id = NodeId(self.positive(entry, Fault::BadNodeId, NODE_ID_MAX, "name the id of a [[node]]")?);
        if nodes.is_none_or(|nodes| nodes.iter().any(|node| node.id == id)) {
            return Ok(id);
        }
        let remedy = "add a [[node]] with this id, or name another";
        Err(self.at(entry, complaint(Fault::UnknownNode, id, "the id of a [[node]] of this file", remedy)))
    }

    /// The tables of an array of tables; none when it is absent.
    fn sections<'t>(
        &self,
        top: Section<'t>,
        key: &'static str,
        prefix: &'static str,
    ) -> Result<Vec<Section<'t>>, TopologyError> {
        let Some(entry) = optional(top, key) else { return Ok(Vec::new()) };
        let Some(tables) = entry.item.as_array_of_tables() else {
            return Err(self.wrong_type(entry, &format!("[[{key}]] sections")));
        };
        Ok(tables.iter().map(|table| Section { table, prefix }).collect())
    }

    /// A name: letters, digits and `. _ -`.
    fn name(
        &self,
        entry: Entry<'_>,
        name: &str,
        fault: Fault,
        length: std::ops::RangeInclusive<usize>,
    ) -> Result<String, TopologyError> {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if plain && length.contains(&name.len()) {
            return Ok(name.to_owned());
        }
        let allowed = format!("{} to {} characters of a-z A-Z 0-9 . _ -", length.start(), length.end());
        Err(self.at(entry, complaint(fault, format!("{name:?}"), &allowed, CORRECT_IT)))
    }

    fn positive(&self, entry: Entry<'_>, fault: Fault, max: u32, remedy: &str) -> Result<u32, TopologyError> {
        let value = self.integer(entry)?;
        match u32::try_from(value) {
            Ok(number) if (1..=max).contains(&number) => Ok(number),
            _ => Err(self.at(entry, complaint(fault, value, &format!("an integer from 1 to {max}"), remedy))),
        }
    }

    fn string<'t>(&self, entry: Entry<'t>) -> Result<&'t str, TopologyError> {
        entry.item.as_str().ok_or_else(|| self.wrong_type(entry, "a string in quotes"))
    }

    fn integer(&self, entry: Entry<'_>) -> Result<i64, TopologyError> {
        entry.item.as_integer().ok_or_else(|| self.wrong_type(entry, "an integer"))
    }

    fn required<'t>(&self, section: Section<'t>, key: &'static str) -> Result<Entry<'t>, TopologyError> {
        optional(section, key).ok_or_else(|| {
            let at = section.table.span().map_or(0, |span| span.start);
            let remedy = format!("add {key} = …");
            let name = format!("{}{key}", section.prefix);
            self.error(at, &name, complaint(Fault::MissingKey, "nothing", "a value", &remedy))
        })
    }

    /// Notes keys that do not exist, with the nearest that does.
    fn check_keys(&self, section: Section<'_>, known: &[&str]) {
        for (name, item) in section.table {
            if known.contains(&name) {
                continue;
            }
            let key_span = section.table.get_key_value(name).and_then(|(key, _)| key.span());
            let at = key_span.or_else(|| item.span()).map_or(0, |span| span.start);
            let nearest = known.iter().max_by(|a, b| similarity(name, a).total_cmp(&similarity(name, b)));
            let remedy = match nearest {
                Some(nearest) if similarity(name, nearest) > 0.7 => format!("did you mean {nearest}?"),
                _ => "remove it".to_owned(),
            };
            let found = format!("the unknown key {name:?}");
            let label = format!("{}{name}", section.prefix);
            self.note(self.error(at, &label, complaint(Fault::UnknownKey, found, &known.join(", "), &remedy)));
        }
    }

    fn wrong_type(&self, entry: Entry<'_>, allowed: &str) -> TopologyError {
        self.at(entry, complaint(Fault::WrongType, entry.item.type_name(), allowed, CORRECT_IT))
    }

    fn at(&self, entry: Entry<'_>, complaint: Complaint<'_>) -> TopologyError {
        let at = entry.item.span().map_or(0, |span| span.start);
        self.error(at, &format!("{}{}", entry.prefix, entry.key), complaint)
    }

    fn error(&self, at: usize, key: &str, complaint: Complaint<'_>) -> TopologyError {
        TopologyError {
            line: u32::try_from(self.line_at(at)).unwrap_or(u32::MAX),
            fault: complaint.fault,
            key: key.to_owned(),
            found: complaint.found,
            allowed: complaint.allowed.to_owned(),
            remedy: complaint.remedy.to_owned(),
            more: Box::default(),
        }
    }

    fn line_of(&self, section: Section<'_>) -> usize {
        self.line_at(section.table.span().map_or(0, |span| span.start))
    }

    fn line_at(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + memchr::memchr_iter(b'\n', before).count()
    }
}

fn optional<'t>(section: Section<'t>, key: &'static str) -> Option<Entry<'t>> {
    section.table.get(key).map(|item| Entry { item, prefix: section.prefix, key })
}

fn complaint<'a>(fault: Fault, found: impl Display, allowed: &'a str, remedy: &'a str) -> Complaint<'a> {
    Complaint { fault, found: format!("{found}"), allowed, remedy }
}

fn too_large(bytes: usize) -> Complaint<'static> {
    let found = format!("{bytes} bytes");
    complaint(Fault::FileTooLarge, found, "at most 1048576 bytes", "check that this is the topology file")
}

fn syntax(message: &str) -> Complaint<'static> {
    complaint(Fault::Syntax, message.replace('\n', " "), "TOML 1.0", "correct the syntax")
}

fn similarity(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(a, b)
}
