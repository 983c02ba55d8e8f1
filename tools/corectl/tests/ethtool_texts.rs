//! Texts of ethtool, of several versions and drivers: those of veth were captured with version 6.1, the others are as the program's source
//! prints them.

use corectl::ethtool::{
    ChannelCounts, Feature, Rings, channels, coalesce, driver_line, feature, flag, flow_hash, indirection, rings,
    spread,
};

/// Version 6.1, veth, captured.
const CHANNELS_VETH: &str = "Channel parameters for v0:
Pre-set maximums:
RX:\t\t4
TX:\t\t4
Other:\t\tn/a
Combined:\tn/a
Current hardware settings:
RX:\t\t4
TX:\t\t2
Other:\t\tn/a
Combined:\tn/a
";

/// Version 4.8, ixgbe: what there is not is 0, and an empty line ends the text.
const CHANNELS_IXGBE: &str = "Channel parameters for eth2:
Pre-set maximums:
RX:\t\t0
TX:\t\t0
Other:\t\t1
Combined:\t63
Current hardware settings:
RX:\t\t0
TX:\t\t0
Other:\t\t1
Combined:\t16

";

#[test]
fn channels_of_old_and_new_versions() {
    let veth = channels(CHANNELS_VETH).unwrap();
    assert_eq!(veth.max, ChannelCounts { rx: 4, tx: 4, other: 0, combined: 0 });
    assert_eq!((veth.pairs_max(), veth.receiving()), (4, 4));
    assert_eq!((veth.setting().as_str(), veth.setting_of(3).as_str()), ("rx 4 tx 2", "rx 3 tx 3"));
    let ixgbe = channels(CHANNELS_IXGBE).unwrap();
    assert_eq!(ixgbe.current, ChannelCounts { rx: 0, tx: 0, other: 1, combined: 16 });
    assert_eq!((ixgbe.pairs_max(), ixgbe.setting().as_str()), (63, "combined 16"));
    assert_eq!(ixgbe.setting_of(14), "combined 14");
    assert_eq!(channels(""), None);
    assert_eq!(channels("netlink error: Operation not supported\n"), None);
}

/// Version 6.15, ice.
const RINGS_ICE: &str = "Ring parameters for ens1f0np0:
Pre-set maximums:
RX:\t\t\t8160
RX Mini:\t\tn/a
RX Jumbo:\t\tn/a
TX:\t\t\t8160
TX push buff len:\tn/a
Current hardware settings:
RX:\t\t\t2048
RX Mini:\t\tn/a
RX Jumbo:\t\tn/a
TX:\t\t\t256
RX Buf Len:\t\tn/a
CQE Size:\t\tn/a
TX Push:\t\toff
RX Push:\t\toff
TX push buff len:\tn/a
TCP data split:\t\toff
";

/// Version 4.8, igb.
const RINGS_IGB: &str = "Ring parameters for eno1:
Pre-set maximums:
RX:\t\t4096
RX Mini:\t0
RX Jumbo:\t0
TX:\t\t4096
Current hardware settings:
RX:\t\t256
RX Mini:\t0
RX Jumbo:\t0
TX:\t\t512

";

#[test]
fn rings_of_old_and_new_versions() {
    assert_eq!(rings(RINGS_ICE), Some(Rings { rx_max: 8160, tx_max: 8160, rx: 2048, tx: 256 }));
    assert_eq!(rings(RINGS_IGB), Some(Rings { rx_max: 4096, tx_max: 4096, rx: 256, tx: 512 }));
    assert_eq!(rings(""), None);
}

/// Version 6.1, mlx5.
const COALESCE_MLX5: &str = "Coalesce parameters for enp59s0np0:
Adaptive RX: on  TX: off
stats-block-usecs:\tn/a
sample-interval:\tn/a
pkt-rate-low:\t\tn/a
pkt-rate-high:\t\tn/a

rx-usecs:\t8
rx-frames:\t128
rx-usecs-irq:\tn/a
rx-frames-irq:\tn/a

tx-usecs:\t8
tx-frames:\t128
tx-usecs-irq:\tn/a
tx-frames-irq:\tn/a

rx-usecs-low:\tn/a

CQE mode RX: on  TX: off
";

/// Version 4.8, igb.
const COALESCE_IGB: &str = "Coalesce parameters for eno1:
Adaptive RX: off  TX: off
stats-block-usecs: 0
sample-interval: 0
pkt-rate-low: 0
pkt-rate-high: 0

rx-usecs: 3
rx-frames: 0

tx-usecs: 0
tx-frames: 0

";

#[test]
fn coalescing_of_old_and_new_versions() {
    for (text, name, expected) in [
        (COALESCE_MLX5, "adaptive-rx", Some("on")),
        (COALESCE_MLX5, "adaptive-tx", Some("off")),
        (COALESCE_MLX5, "rx-usecs", Some("8")),
        (COALESCE_MLX5, "rx-usecs-low", None),
        (COALESCE_IGB, "adaptive-tx", Some("off")),
        (COALESCE_IGB, "rx-usecs", Some("3")),
        (COALESCE_IGB, "rx-usecs-irq", None),
        ("Adaptive RX: n/a  TX: n/a\n", "adaptive-rx", None),
    ] {
        assert_eq!(coalesce(text, name).as_deref(), expected, "{name}");
    }
}

/// Version 6.1, veth, captured; and a line that a driver would have changed but for something else.
const FEATURES: &str = "Features for v0:
rx-checksumming: on
tx-checksumming: on
\ttx-checksum-ipv4: off [fixed]
tcp-segmentation-offload: on
\ttx-tcp-segmentation: on
generic-receive-offload: off
large-receive-offload: off [fixed]
ntuple-filters: off [requested on]
receive-hashing: off [fixed]
";

#[test]
fn features_say_what_is_and_what_may_change() {
    let expect =
        |name, is_on, is_fixed| assert_eq!(feature(FEATURES, name), Some(Feature { is_on, is_fixed }), "{name}");
    expect("tcp-segmentation-offload", true, false);
    expect("tx-tcp-segmentation", true, false);
    expect("tx-checksum-ipv4", false, true);
    expect("large-receive-offload", false, true);
    expect("ntuple-filters", false, false);
    assert_eq!(feature(FEATURES, "rx"), None);
}

/// Version 6.1, i40e with four queues.
const SPREADING: &str = "RX flow hash indirection table for eth0 with 4 RX ring(s):
    0:      0     1     2     3     0     1     2     3
    8:      0     1     2     3     0     1     2     3
RSS hash key:
4e:59:a3:00:12:34:56:78
RSS hash function:
    toeplitz: on
    xor: off
    crc32: off
";

#[test]
fn a_table_is_written_again_only_in_forms_that_ethtool_has() {
    let table = indirection(SPREADING).unwrap();
    assert_eq!((table.len(), spread(&table).as_deref()), (16, Some("equal 4")));
    assert_eq!(indirection("Cannot get RX rings: Operation not supported\n"), None);
    for (table, expected) in [
        (&[0, 0, 0, 0][..], Some("equal 1")),
        (&[0, 0, 1, 1], Some("weight 2 2")),
        (&[0, 0, 0, 2], Some("weight 3 0 1")),
        (&[1, 0, 1, 0], None),
        (&[], None),
    ] {
        assert_eq!(spread(table).as_deref(), expected, "{table:?}");
    }
}

#[test]
fn flags_drivers_and_hashes() {
    let pause = "Pause parameters for eno1:\nAutonegotiate:\toff\nRX:\t\ton\nTX:\t\toff\nRX negotiated: on\nTX negotiated: off\n";
    assert_eq!(flag(pause, "RX").as_deref(), Some("on"));
    assert_eq!(flag(pause, "Autonegotiate").as_deref(), Some("off"));
    let private = "Private flags for enp175s0f0:\nMFP                     : off\nlegacy-rx               : on\n";
    assert_eq!(flag(private, "legacy-rx").as_deref(), Some("on"));
    assert_eq!(flag(private, "legacy"), None);
    let info = "driver: veth\nversion: 1.0\nfirmware-version: \nbus-info: \n";
    assert_eq!(driver_line(info, "driver").as_deref(), Some("veth"));
    assert_eq!(driver_line(info, "firmware-version"), None);
    let hash = "TCP over IPV4 flows use these fields for computing Hash flow key:\nIP SA\nIP DA\nL4 bytes 0 & 1 [TCP/UDP src port]\nL4 bytes 2 & 3 [TCP/UDP dst port]\n\n";
    assert_eq!(flow_hash(hash).as_deref(), Some("sdfn"));
    assert_eq!(flow_hash("Cannot get RX network flow hashing options: Operation not supported\n"), None);
}
