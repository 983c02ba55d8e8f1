//! igb with a queue, an interrupt, an XPS mask and a worker for each core, one to one while requests come in.
//!
//! | read | from |
//! |---|---|
//! | which CPU a queue's interrupts came to | `/proc/interrupts` |
//! | packets of each queue, both ways | `ethtool -S` |
//! | the CPU of each data core's thread, and its requests | `/proc/PID/task`, `/metrics` |
//! | XPS | `/sys/class/net/data0/queues/tx-K/xps_cpus` |

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::machine::{GuestMachine, GuestPrograms};
use super::{service, tuner::Tuner};

const CARD: &str = "data0";
const WORKERS: usize = 3;
const CONNECTIONS: u32 = 96;
const LOAD_SECONDS: u32 = 10;
/// Each queue gets at least so many of the packets, and each core of the requests: connections spread by a hash.
const SHARE_MIN: f64 = 0.05;
/// A queue's share of the packets is its core's share of the requests, but for the opening and closing of connections.
const SHARE_APART_MAX: f64 = 0.05;
/// Of a queue's interrupts, those that may come to another CPU: the kernel moves the vector with the next interrupt.
const ASTRAY_MAX: f64 = 0.01;

pub(super) fn run(machine: &mut GuestMachine, programs: &GuestPrograms) -> Result<String> {
    let tuner = Tuner::on_card(machine, CARD)?;
    let applied = tuner.run("apply --profile throughput --revert-after 30m")?;
    ensure!(applied.status == Some(0), "apply: {applied:?}");
    tuner.succeed("confirm")?;
    service::install(machine, "cores = \"profile\"\naccept_steering = \"cpu\"")?;
    service::restart(machine)?;
    let cpus = service::cpus_by_core(machine)?;
    ensure!(cpus == ["1", "2", "3"], "data cores are on CPUs {cpus:?}");
    // The first packets move the vectors to where they were sent.
    service::load(machine, programs, CONNECTIONS, 2)?;
    let before = Counts::read(machine)?;
    service::load(machine, programs, CONNECTIONS, LOAD_SECONDS)?;
    let grown = Counts::read(machine)?.since(&before);
    let said = grown.check(&cpus)?;
    check_xps(machine, &cpus)?;
    service::stop(machine)?;
    Tuner::on_card(machine, CARD)?.succeed("rollback")?;
    machine.wait("the card after the rollback", Duration::from_secs(60), |machine| {
        machine.run(&format!("cat /sys/class/net/{CARD}/operstate")).ok().filter(|state| state.trim() == "up")
    })?;
    Ok(said)
}

fn check_xps(machine: &GuestMachine, cpus: &[String]) -> Result<()> {
    for (queue, cpu) in cpus.iter().enumerate() {
        let mask = machine.run(&format!("cat /sys/class/net/{CARD}/queues/tx-{queue}/xps_cpus"))?;
        let wanted = 1_u32 << cpu.parse::<u32>()?;
        ensure!(u32::from_str_radix(mask.trim(), 16).ok() == Some(wanted), "tx-{queue}: xps_cpus {mask}");
    }
    Ok(())
}

/// Counters of the kernel and of the edge at one moment, or their growth.
struct Counts {
    /// By queue, by CPU.
    interrupts: Vec<Vec<u64>>,
    received: Vec<u64>,
    sent: Vec<u64>,
    requests: Vec<u64>,
}

impl Counts {
    fn read(machine: &GuestMachine) -> Result<Self> {
        let interrupts = machine.run("cat /proc/interrupts")?;
        let statistics = machine.run(&format!("ethtool -S {CARD}"))?;
        let queues = 0..WORKERS;
        let counter = |side: &str, queue: usize| {
            let name = format!("{side}_queue_{queue}_packets:");
            let line = statistics.lines().find_map(|line| line.trim().strip_prefix(&name)?.trim().parse().ok());
            line.with_context(|| format!("ethtool -S has no {name}"))
        };
        Ok(Self {
            interrupts: queues.clone().map(|queue| queue_interrupts(&interrupts, queue)).collect::<Result<_>>()?,
            received: queues.clone().map(|queue| counter("rx", queue)).collect::<Result<_>>()?,
            sent: queues.map(|queue| counter("tx", queue)).collect::<Result<_>>()?,
            requests: service::requests_by_core(machine)?,
        })
    }

    fn since(self, before: &Self) -> Self {
        let grown =
            |now: Vec<u64>, then: &[u64]| now.iter().zip(then).map(|(now, then)| now.saturating_sub(*then)).collect();
        let interrupts = self.interrupts.into_iter().zip(&before.interrupts);
        Self {
            interrupts: interrupts.map(|(now, then)| grown(now, then)).collect(),
            received: grown(self.received, &before.received),
            sent: grown(self.sent, &before.sent),
            requests: grown(self.requests, &before.requests),
        }
    }

    fn check(&self, cpus: &[String]) -> Result<String> {
        for (what, counts) in
            [("packets in", &self.received), ("packets out", &self.sent), ("requests", &self.requests)]
        {
            let total: u64 = counts.iter().sum();
            let smallest = counts.iter().min().copied().unwrap_or_default();
            ensure!(counts.len() == WORKERS && total >= 1000, "{what}: {counts:?}");
            ensure!(as_share(smallest, total) >= SHARE_MIN, "{what} do not reach every queue: {counts:?}");
        }
        for (what, packets) in [("packets in", &self.received), ("packets out", &self.sent)] {
            let apart = |queue: usize| (share_of(packets, queue) - share_of(&self.requests, queue)).abs();
            let together = (0..WORKERS).all(|queue| apart(queue) <= SHARE_APART_MAX);
            ensure!(together, "{what} are not those of the cores: {packets:?}, requests {:?}", self.requests);
        }
        for (queue, counts) in self.interrupts.iter().enumerate() {
            let own = counts[cpus[queue].parse::<usize>()?];
            let total: u64 = counts.iter().sum();
            ensure!(own > 0, "queue {queue} had no interrupt on CPU {}: {counts:?}", cpus[queue]);
            ensure!(
                as_share(total - own, total) <= ASTRAY_MAX,
                "interrupts of queue {queue} did not stay on CPU {}: {counts:?}",
                cpus[queue]
            );
        }
        let own: Vec<u64> =
            self.interrupts.iter().map(|counts| counts.iter().max().copied().unwrap_or_default()).collect();
        let [cpus, interrupts] = [cpus.join(" "), joined(&own)];
        Ok(format!(
            "queues 0 to 2 on CPUs {cpus}; in {LOAD_SECONDS} s interrupts {interrupts}, packets in {}, out {}, requests {}",
            joined(&self.received),
            joined(&self.sent),
            joined(&self.requests)
        ))
    }
}

fn share_of(counts: &[u64], queue: usize) -> f64 {
    as_share(counts[queue], counts.iter().sum())
}

fn joined(counts: &[u64]) -> String {
    counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" + ")
}

#[expect(clippy::cast_precision_loss, reason = "a share of counts that are far below 2^53")]
fn as_share(part: u64, total: u64) -> f64 {
    part as f64 / total.max(1) as f64
}

/// The interrupts of a queue so far, by CPU: the line `data0-TxRx-K` or `data0-rx-K` of `/proc/interrupts`.
fn queue_interrupts(text: &str, queue: usize) -> Result<Vec<u64>> {
    let names = [format!("{CARD}-TxRx-{queue}"), format!("{CARD}-rx-{queue}")];
    let is_ours =
        |line: &&str| line.split_whitespace().next_back().is_some_and(|last| names.iter().any(|name| name == last));
    let line = text.lines().find(is_ours).with_context(|| format!("no interrupt of queue {queue} in\n{text}"))?;
    let cpus = text.lines().next().unwrap_or_default().split_whitespace().count();
    let counts = line.split_whitespace().skip(1).take(cpus).map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTS: &str = "           CPU0       CPU1       CPU2       CPU3\n \
         28:          7       2000          0          0   PCI-MSI 65537-edge      data0-TxRx-0\n \
         29:          0          0       3000          0   PCI-MSI 65538-edge      data0-TxRx-1\n";

    #[test]
    fn a_queue_is_found_by_its_name() {
        assert_eq!(queue_interrupts(INTERRUPTS, 1).unwrap(), [0, 0, 3000, 0]);
        assert!(queue_interrupts(INTERRUPTS, 2).is_err());
    }

    fn counts() -> Counts {
        Counts {
            interrupts: vec![vec![7, 2000, 0, 0], vec![0, 0, 3000, 0], vec![0, 0, 0, 1000]],
            received: vec![1000, 2000, 600],
            sent: vec![1000, 2000, 600],
            requests: vec![800, 1700, 500],
        }
    }

    #[test]
    fn one_to_one_passes_and_each_fault_fails() {
        let cpus = ["1", "2", "3"].map(str::to_owned);
        assert!(counts().check(&cpus).is_ok());
        let fails = |change: fn(&mut Counts)| {
            let mut counts = counts();
            change(&mut counts);
            counts.check(&cpus).is_err()
        };
        assert!(fails(|counts| counts.interrupts[0][0] = 30), "interrupts on another CPU");
        assert!(fails(|counts| counts.interrupts[2] = vec![0; 4]), "a queue without interrupts");
        assert!(fails(|counts| counts.received[1] = 3), "a queue without packets");
        assert!(fails(|counts| counts.sent[1] = 3), "all is sent by two queues");
        assert!(fails(|counts| counts.requests = vec![9, 9, 9]), "no load");
        assert!(fails(|counts| counts.requests.reverse()), "another core answers than the one whose queue it is");
        assert!(!fails(|counts| counts.interrupts[0][0] = 8));
    }
}
