//! What drivers have, refuse, forget and lie about.

use std::collections::BTreeMap;

use corectl::ethtool::{ChannelCounts, Channels};
use corectl::host::FakeNic;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    pub(crate) driver: String,
    #[serde(default)]
    pub(crate) node: Option<i32>,
    pub(crate) queues: u32,
    pub(crate) queues_max: u32,
    #[serde(default)]
    pub(crate) speed: Option<u32>,
    #[serde(default = "six")]
    pub(crate) ethtool_major: u32,
    #[serde(default = "up")]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) refuses: Vec<String>,
    #[serde(default)]
    pub(crate) lies: Vec<String>,
}

fn six() -> u32 {
    6
}

fn up() -> String {
    "up".into()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn combined(current: u32, max: u32, other: u32) -> Option<Channels> {
    let counts = |combined| ChannelCounts { rx: 0, tx: 0, other, combined };
    Some(Channels { max: counts(max), current: counts(current) })
}

const FEATURES: &[(&str, &str)] = &[
    ("rx-checksumming", "on"),
    ("tcp-segmentation-offload", "on"),
    ("generic-segmentation-offload", "on"),
    ("generic-receive-offload", "on"),
    ("large-receive-offload", "off [fixed]"),
    ("receive-hashing", "on"),
    ("ntuple-filters", "off"),
];

/// What the drivers of servers' cards have in common.
fn server(name: &str, card: &Card) -> FakeNic {
    let coalesce = map(&[("adaptive-rx", "on"), ("adaptive-tx", "on"), ("rx-usecs", "50"), ("tx-usecs", "50")]);
    FakeNic {
        driver: name.into(),
        features: map(FEATURES),
        channels: combined(card.queues, card.queues_max, 1),
        pause: map(&[("autoneg", "off"), ("rx", "on"), ("tx", "on")]),
        flow_hash: map(&[("tcp4", "sdfn"), ("tcp6", "sdfn")]),
        coalesce: coalesce.clone(),
        coalesce_default: coalesce,
        forgets: words(&["irq", "xps", "rss"]),
        ..FakeNic::default()
    }
}

fn virtio(card: &Card) -> FakeNic {
    let features = map(&[
        ("rx-checksumming", "on [fixed]"),
        ("tcp-segmentation-offload", "on"),
        ("generic-segmentation-offload", "on"),
        ("generic-receive-offload", "on"),
        ("large-receive-offload", "off [fixed]"),
        ("receive-hashing", "off [fixed]"),
        ("ntuple-filters", "off [fixed]"),
    ]);
    FakeNic {
        vectors: words(&["virtio2-input.{queue}", "virtio2-output.{queue}"]),
        rings: Some([256, 256, 256, 256]),
        channels: combined(card.queues, card.queues_max, 0),
        coalesce: BTreeMap::new(),
        coalesce_default: BTreeMap::new(),
        pause: BTreeMap::new(),
        flow_hash: BTreeMap::new(),
        features,
        ..server("virtio_net", card)
    }
}

/// What a driver has, and what it does.
pub(crate) fn driver(name: &str, card: &Card) -> FakeNic {
    let table = |buckets: u32| (0..card.queues).cycle().take(buckets as usize).collect::<Vec<u32>>();
    let server = server(name, card);
    match name {
        "virtio_net" => virtio(card),
        "igb" => FakeNic {
            firmware: "3.25, 0x800005cc".into(),
            vectors: words(&["{nic}-TxRx-{queue}"]),
            rings: Some([256, 256, 4096, 4096]),
            coalesce: map(&[("rx-usecs", "3"), ("tx-usecs", "0")]),
            indirection: table(128),
            lies: words(&["-N"]),
            ..server
        },
        "ixgbe" => FakeNic {
            firmware: "0x800003e1".into(),
            vectors: words(&["{nic}-TxRx-{queue}"]),
            rings: Some([512, 512, 4096, 4096]),
            coalesce: map(&[("rx-usecs", "1"), ("tx-usecs", "0")]),
            indirection: table(128),
            private_flags: map(&[("legacy-rx", "off"), ("vf-ipsec", "off")]),
            features: map(&[FEATURES, &[("large-receive-offload", "on")]].concat()),
            ..server
        },
        "i40e" => FakeNic {
            firmware: "8.30 0x8000a4ae 1.2926.0".into(),
            vectors: words(&["i40e-{nic}-TxRx-{queue}"]),
            rings: Some([512, 512, 4096, 4096]),
            indirection: table(128),
            private_flags: map(&[("legacy-rx", "on"), ("disable-fw-lldp", "off")]),
            forgets: words(&["irq", "irq-numbers", "xps", "rss"]),
            ..server
        },
        "ice" => FakeNic {
            firmware: "4.40 0x8001c967 1.3534.0".into(),
            vectors: words(&["ice-{nic}-TxRx-{queue}"]),
            rings: Some([2048, 256, 8160, 8160]),
            indirection: table(256),
            private_flags: map(&[("legacy-rx", "off"), ("fw-lldp-agent", "off")]),
            forgets: words(&["irq", "irq-numbers", "xps", "rss", "coalesce"]),
            ..server
        },
        "mlx5_core" => FakeNic {
            firmware: "22.36.1010 (MT_0000000359)".into(),
            vectors: words(&["mlx5_comp{queue}@pci:0000:3b:00.0"]),
            rings: Some([1024, 1024, 8192, 8192]),
            channels: combined(card.queues, card.queues_max, 0),
            indirection: table(256),
            private_flags: map(&[("rx_cqe_compress", "off"), ("rx_striding_rq", "on"), ("tx_cqe_moder", "off")]),
            features: map(&[FEATURES, &[("large-receive-offload", "off")]].concat()),
            ..server
        },
        other => panic!("no such driver here: {other}"),
    }
}
