//! `ethtool` of a fake host: it prints as the real one does, and changes the card's file.
//!
//! **Source**: ethtool(8) and its source's print functions, versions 4.8 to 6.15.

use std::fmt::Write as _;

use super::{FakeFiles, FakeNic, queues};
use crate::ethtool::ChannelCounts;
use crate::host::{CommandOutput, HostError};

/// From this version on, what there is not is `n/a`.
const SAYS_NOT_AVAILABLE: u32 = 5;

fn unsupported() -> CommandOutput {
    CommandOutput::failure(1, "netlink error: Operation not supported")
}

/// Runs it.
pub(super) fn run(files: &dyn FakeFiles, arguments: &[&str]) -> Result<CommandOutput, HostError> {
    let [option, name, words @ ..] = arguments else {
        return Ok(CommandOutput::failure(1, "ethtool: bad command line argument(s)"));
    };
    let Ok(mut nic) = FakeNic::load(files, name) else {
        return Ok(CommandOutput::failure(1, "netlink error: No such device"));
    };
    if nic.refuses.iter().any(|refused| refused == option) {
        return Ok(unsupported());
    }
    if let Some(shown) = show(&nic, name, option, words) {
        return Ok(shown.map_or_else(unsupported, CommandOutput::answer));
    }
    if nic.lies.iter().any(|lie| lie == option) {
        return Ok(CommandOutput::answer(String::new()));
    }
    let before = nic.clone();
    let changed = change(&mut nic, option, words);
    if changed.is_none() {
        return Ok(CommandOutput::failure(1, "netlink error: Invalid argument"));
    }
    if nic == before {
        return Ok(CommandOutput::failure(80, "parameters unchanged, aborting"));
    }
    if nic.channels == before.channels {
        nic.store(files, name)?;
    } else {
        queues::make_anew(files, name, &mut nic)?;
    }
    Ok(CommandOutput::answer(String::new()))
}

/// What an option shows: `None` when it shows nothing, and within it `None` when the driver has no such thing.
#[expect(
    clippy::option_option,
    reason = "an option that shows, and a driver that has nothing to show, are two questions"
)]
fn show(nic: &FakeNic, name: &str, option: &str, words: &[&str]) -> Option<Option<String>> {
    let shown = match option {
        "-i" => Some(driver(nic)),
        "-l" => nic.channels.map(|channels| {
            let counts = |counts| channel_counts(nic, counts);
            let (max, current) = (counts(channels.max), counts(channels.current));
            format!(
                "Channel parameters for {name}:\nPre-set maximums:\n{max}Current hardware settings:\n{current}{}",
                end(nic)
            )
        }),
        "-g" => nic.rings.map(|rings| ring_text(nic, name, rings)),
        "-c" => (!nic.coalesce.is_empty()).then(|| coalesce(nic, name)),
        "-k" => Some(lines(&format!("Features for {name}:"), &nic.features, |key, value| format!("{key}: {value}"))),
        "-x" => (!nic.indirection.is_empty()).then(|| indirection(nic, name)),
        "-a" => (!nic.pause.is_empty()).then(|| {
            let of = |key: &str| nic.pause.get(key).map_or("off", String::as_str);
            let (autoneg, rx, tx) = (of("autoneg"), of("rx"), of("tx"));
            format!("Pause parameters for {name}:\nAutonegotiate:\t{autoneg}\nRX:\t\t{rx}\nTX:\t\t{tx}\n{}", end(nic))
        }),
        "--show-priv-flags" => (!nic.private_flags.is_empty()).then(|| {
            lines(&format!("Private flags for {name}:"), &nic.private_flags, |key, on| format!("{key:<24}: {on}"))
        }),
        "-n" => words.get(1).and_then(|kind| flow_hash(nic, kind)),
        _ => return None,
    };
    Some(shown)
}

/// Versions before netlink end with an empty line.
fn end(nic: &FakeNic) -> &'static str {
    if nic.ethtool_major < SAYS_NOT_AVAILABLE { "\n" } else { "" }
}

fn driver(nic: &FakeNic) -> String {
    format!(
        "driver: {}\nversion: 6.1.0\nfirmware-version: {}\nexpansion-rom-version: \nbus-info: {}\nsupports-statistics: yes\n",
        nic.driver, nic.firmware, nic.bus
    )
}

fn channel_counts(nic: &FakeNic, counts: ChannelCounts) -> String {
    let shown = |count: u32| match count {
        0 if nic.ethtool_major >= SAYS_NOT_AVAILABLE => "n/a".to_owned(),
        _ => count.to_string(),
    };
    let ChannelCounts { rx, tx, other, combined } = counts;
    format!("RX:\t\t{}\nTX:\t\t{}\nOther:\t\t{}\nCombined:\t{}\n", shown(rx), shown(tx), shown(other), shown(combined))
}

fn ring_text(nic: &FakeNic, name: &str, [rx, tx, rx_max, tx_max]: [u32; 4]) -> String {
    let is_new = nic.ethtool_major > SAYS_NOT_AVAILABLE;
    let none = if is_new { "n/a" } else { "0" };
    let rings = |rx, tx| format!("RX:\t\t{rx}\nRX Mini:\t{none}\nRX Jumbo:\t{none}\nTX:\t\t{tx}\n");
    let newer = if is_new { "RX Buf Len:\t\tn/a\nCQE Size:\t\tn/a\nTX Push:\toff\nTCP data split:\toff\n" } else { "" };
    format!(
        "Ring parameters for {name}:\nPre-set maximums:\n{}Current hardware settings:\n{}{newer}{}",
        rings(rx_max, tx_max),
        rings(rx, tx),
        end(nic)
    )
}

fn coalesce(nic: &FakeNic, name: &str) -> String {
    let none = if nic.ethtool_major >= SAYS_NOT_AVAILABLE { "n/a" } else { "0" };
    let of = |key: &str| nic.coalesce.get(key).map_or("n/a", String::as_str);
    let mut text =
        format!("Coalesce parameters for {name}:\nAdaptive RX: {}  TX: {}\n", of("adaptive-rx"), of("adaptive-tx"));
    let _ = writeln!(text, "stats-block-usecs:\t{none}\nsample-interval:\t{none}\n");
    for (key, value) in nic.coalesce.iter().filter(|(key, _)| !key.starts_with("adaptive")) {
        let _ = writeln!(text, "{key}:\t{value}");
    }
    text + "\n"
}

fn indirection(nic: &FakeNic, name: &str) -> String {
    let (rx, _) = nic.queues();
    let mut text = format!("RX flow hash indirection table for {name} with {rx} RX ring(s):\n");
    for (row, queues) in nic.indirection.chunks(8).enumerate() {
        let cells: String = queues.iter().map(|queue| format!(" {queue:>5}")).collect();
        let _ = writeln!(text, "{:>5}: {cells}", row * 8);
    }
    text + "RSS hash key:\n6d:5a:56:da:25:5b:0e:c2\nRSS hash function:\n    toeplitz: on\n    xor: off\n    crc32: off\n"
}

fn lines(
    heading: &str,
    values: &std::collections::BTreeMap<String, String>,
    line: impl Fn(&str, &str) -> String,
) -> String {
    let lines = values.iter().map(|(key, value)| line(key, value) + "\n");
    format!("{heading}\n{}", lines.collect::<String>())
}

fn flow_hash(nic: &FakeNic, kind: &str) -> Option<String> {
    let letters = nic.flow_hash.get(kind)?;
    let names = [
        ('s', "IP SA"),
        ('d', "IP DA"),
        ('f', "L4 bytes 0 & 1 [TCP/UDP src port]"),
        ('n', "L4 bytes 2 & 3 [TCP/UDP dst port]"),
    ];
    let fields = names.iter().filter(|(letter, _)| letters.contains(*letter)).map(|(_, name)| format!("{name}\n"));
    let protocol = kind.trim_end_matches(['4', '6']).to_uppercase();
    let version = if kind.ends_with('6') { "IPV6" } else { "IPV4" };
    let fields: String = fields.collect();
    Some(format!("{protocol} over {version} flows use these fields for computing Hash flow key:\n{fields}\n"))
}

/// Changes the card. `None` when the driver refuses the values.
fn change(nic: &mut FakeNic, option: &str, words: &[&str]) -> Option<()> {
    if option == "-N" {
        let ["rx-flow-hash", kind, letters] = words else { return None };
        *nic.flow_hash.get_mut(*kind)? = (*letters).to_owned();
        return Some(());
    }
    if option == "-X" {
        return spread(nic, words);
    }
    for pair in words.chunks(2) {
        let [key, value] = pair else { return None };
        match option {
            "-L" => set_channels(nic, key, value.parse().ok()?)?,
            "-G" => set_rings(nic, key, value.parse().ok()?)?,
            "-C" => *nic.coalesce.get_mut(*key)? = (*value).to_owned(),
            "-A" => *nic.pause.get_mut(*key)? = (*value).to_owned(),
            "--set-priv-flags" => *nic.private_flags.get_mut(*key)? = (*value).to_owned(),
            "-K" => {
                let feature = nic.features.get_mut(*key).filter(|feature| !feature.contains("[fixed]"))?;
                (*value).clone_into(feature);
            }
            _ => return None,
        }
    }
    // "requested channel counts are too low for existing indirection table settings"
    let is_cut = nic.is_spread_set && nic.indirection.iter().any(|queue| *queue >= nic.queues().0);
    (option != "-L" || !is_cut).then_some(())
}

fn set_channels(nic: &mut FakeNic, kind: &str, count: u32) -> Option<()> {
    let channels = nic.channels.as_mut()?;
    let (max, current) = match kind {
        "rx" => (channels.max.rx, &mut channels.current.rx),
        "tx" => (channels.max.tx, &mut channels.current.tx),
        "combined" => (channels.max.combined, &mut channels.current.combined),
        _ => return None,
    };
    *current = Some(count).filter(|count| *count <= max)?;
    Some(())
}

fn set_rings(nic: &mut FakeNic, kind: &str, count: u32) -> Option<()> {
    let [rx, tx, rx_max, tx_max] = nic.rings.as_mut()?;
    let (current, max) = match kind {
        "rx" => (rx, rx_max),
        "tx" => (tx, tx_max),
        _ => return None,
    };
    *current = Some(count).filter(|count| count <= max)?;
    Some(())
}

fn spread(nic: &mut FakeNic, words: &[&str]) -> Option<()> {
    let buckets = nic.indirection.len();
    let (rx, _) = nic.queues();
    let numbers = |words: &[&str]| words.iter().map(|word| word.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    nic.indirection = match words {
        ["equal", count] => {
            let count = count.parse().ok().filter(|count| (1..=rx).contains(count))?;
            (0..count).cycle().take(buckets).collect()
        }
        ["default"] => {
            nic.is_spread_set = false;
            nic.indirection = (0..rx).cycle().take(buckets).collect();
            return Some(());
        }
        ["weight", weights @ ..] => {
            let weights = numbers(weights)?;
            let total = weights.iter().sum::<u32>().max(1);
            let queues = (0..)
                .zip(weights)
                .flat_map(|(queue, weight)| std::iter::repeat_n(queue, buckets * weight as usize / total as usize));
            queues.collect()
        }
        _ => return None,
    };
    nic.is_spread_set = true;
    (nic.indirection.len() == buckets).then_some(())
}
