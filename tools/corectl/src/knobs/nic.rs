//! Settings of network cards, their queues and interrupts.
//!
//! **Source**: ethtool(8); Documentation/networking/scaling.rst, Documentation/networking/napi.rst of Linux.

use super::{Access, Group, Knob, Risk, Rule, Tool};
use crate::setting::{Form, VectorSide};

const ETHTOOL: &str = "ethtool(8)";
const SCALING: &str = "Linux, Documentation/networking/scaling.rst";
const NAPI: &str = "Linux, Documentation/networking/napi.rst";
const AFFINITY: &str = "Linux, Documentation/core-api/irq/irq-affinity.rst";

const fn tool(name: &'static str, tool: Tool, reason: &'static str) -> Knob {
    Knob::new(name, Group::Net, Risk::Perf, Access::NicTool(tool), (reason, ETHTOOL))
}

const fn queue(name: &'static str, side: &'static str, file: &'static str, form: Form, reason: &'static str) -> Knob {
    Knob::new(name, Group::Net, Risk::Safe, Access::QueueFile { side, file, form }, (reason, SCALING))
}

const fn file(name: &'static str, file: &'static str, reason: &'static str) -> Knob {
    Knob::new(name, Group::Net, Risk::Perf, Access::NicFile(file), (reason, NAPI))
}

const fn irq(name: &'static str, side: VectorSide, reason: &'static str) -> Knob {
    Knob::new(name, Group::Irq, Risk::Safe, Access::QueueIrq(side), (reason, AFFINITY))
}

pub(super) const KNOBS: &[Knob] = &[
    tool(
        "nic.channels",
        Tool::Channels,
        "One queue for each worker: what arrives for a worker is taken from the card by its own CPU. The driver starts its queues \
         anew: packets are lost for up to some seconds.",
    ),
    tool(
            "nic.ring.rx",
            Tool::RingRx,
            "Packets that wait in the card while a CPU is busy: at 100 Gbit/s, 512 descriptors are 60 µs. Some drivers take the link \
             down for it.",
        ).ruled(Rule::AtLeast),
    tool("nic.ring.tx", Tool::RingTx, "Packets that wait for the wire without stopping the sender's queue.").ruled(Rule::AtLeast),
    tool("nic.feature.rx-checksum", Tool::Feature("rx-checksumming"), "The card checks checksums instead of the CPU."),
    tool(
        "nic.feature.tso",
        Tool::Feature("tcp-segmentation-offload"),
        "The card cuts up to 64 KiB into packets; without it the CPU handles each packet of a large response.",
    ),
    tool("nic.feature.gso", Tool::Feature("generic-segmentation-offload"), "As TSO, for what the card cannot cut."),
    tool(
        "nic.feature.gro",
        Tool::Feature("generic-receive-offload"),
        "Packets of one connection are handed up as one: uploads cost a fraction of the CPU.",
    ),
    tool(
        "nic.feature.lro",
        Tool::Feature("large-receive-offload"),
        "The card's own merging loses header details that GRO keeps, and delays what it holds.",
    ),
    tool(
        "nic.feature.rxhash",
        Tool::Feature("receive-hashing"),
        "The card's hash of a connection saves the CPU from computing it.",
    ),
    tool(
        "nic.feature.ntuple",
        Tool::Feature("ntuple-filters"),
        "Filters that steer by address and port; off, where none is used, no look-up is made for each packet.",
    ),
    tool(
        "nic.private.legacy-rx",
        Tool::PrivateFlag("legacy-rx"),
        "i40e, ixgbe: the old receive path copies each packet.",
    ),
    tool(
        "nic.private.rx_cqe_compress",
        Tool::PrivateFlag("rx_cqe_compress"),
        "mlx5: completions take less of the bus, and cost the CPU to unpack; good where PCIe is the limit.",
    ),
    tool(
        "nic.private.rx_striding_rq",
        Tool::PrivateFlag("rx_striding_rq"),
        "mlx5: packets share large receive buffers, so that the card reads fewer descriptors.",
    ),
    tool(
        "nic.private.tx_cqe_moder",
        Tool::PrivateFlag("tx_cqe_moder"),
        "mlx5: the time until a send is reported counts from the last completion, so that bursts raise one interrupt.",
    ),
    tool("nic.rss", Tool::Rss, "Connections spread evenly over all queues that workers listen on, and over no other."),
    tool(
        "nic.flow_hash.tcp4",
        Tool::FlowHash("tcp4"),
        "Ports count for the queue of a connection: without them one load balancer's connections meet in one queue.",
    ),
    tool("nic.flow_hash.tcp6", Tool::FlowHash("tcp6"), "As for tcp4: ports count for the queue of a connection."),
    irq(
        "irq.affinity.rx",
        VectorSide::Rx,
        "The interrupt of queue i goes to the CPU of worker i: packet, socket and worker share a cache.",
    ),
    irq(
        "irq.affinity.tx",
        VectorSide::Tx,
        "Where send queues have interrupts of their own, they go to the CPU that sends.",
    ),
    queue(
        "nic.xps",
        "tx",
        "xps_cpus",
        Form::CpuMask,
        "What worker i sends goes to queue i: no lock is shared with another CPU, and the completion comes back to it.",
    ),
    queue(
        "nic.rps",
        "rx",
        "rps_cpus",
        Form::CpuMask,
        "With a queue for each worker, sending packets on to another CPU only costs: off.",
    ),
    queue(
        "nic.rfs",
        "rx",
        "rps_flow_cnt",
        Form::Words,
        "Follows flows for RPS; without RPS it is work for nothing: 0.",
    ),
    file(
        "nic.gro_flush_timeout",
        "gro_flush_timeout",
        "Nanoseconds that GRO holds packets back for more to merge, and that interrupts stay off while a queue is polled.",
    ),
    file(
        "nic.napi_defer_hard_irqs",
        "napi_defer_hard_irqs",
        "Empty polls before a queue's interrupt is turned on again: under load fewer interrupts, when idle the same.",
    ),
    tool(
        "nic.coalesce.adaptive-rx",
        Tool::Coalesce("adaptive-rx"),
        "The driver chooses the time to the next interrupt by the traffic: good for throughput, uneven for latency.",
    ),
    tool("nic.coalesce.adaptive-tx", Tool::Coalesce("adaptive-tx"), "As adaptive-rx, for what was sent."),
    tool(
        "nic.coalesce.rx-usecs",
        Tool::Coalesce("rx-usecs"),
        "Microseconds from a packet to its interrupt: a bound of latency that is paid with interrupts.",
    ),
    tool("nic.coalesce.tx-usecs", Tool::Coalesce("tx-usecs"), "Microseconds from a sent packet to its interrupt."),
    tool(
        "nic.pause.rx",
        Tool::Pause("rx"),
        "Whether a switch may stop this host's sending; where it does, one slow receiver stops all.",
    ),
    tool("nic.pause.tx", Tool::Pause("tx"), "Whether this host may stop the switch instead of dropping packets."),
];
