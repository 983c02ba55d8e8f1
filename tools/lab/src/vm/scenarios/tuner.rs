//! corectl in the guest, and what it reads there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::machine::GuestMachine;
use crate::capture::Captured;

/// Facts, or a change with all its programs: some hundred small processes, each of which takes software emulation 30 to 100 ms.
const TUNE_LIMIT: Duration = Duration::from_secs(300);

/// What the host says for itself: the cards that are tuned.
const OVERRIDES: &str = "/etc/corelane/tune.toml";

/// `corectl tune`, on one card of the guest.
pub(super) struct Tuner<'a> {
    machine: &'a GuestMachine,
}

impl<'a> Tuner<'a> {
    /// Tunes this card from now on.
    pub(super) fn on_card(machine: &'a GuestMachine, card: &str) -> Result<Self> {
        Self::with_layout(machine, card, "")
    }

    /// The same, with more lines of the table `layout`.
    pub(super) fn with_layout(machine: &'a GuestMachine, card: &str, lines: &str) -> Result<Self> {
        machine.write(OVERRIDES, &format!("[layout]\ninterfaces = [\"{card}\"]\n{lines}"))?;
        Ok(Self { machine })
    }

    /// Runs a verb, whatever its exit status.
    pub(super) fn run(&self, verb: &str) -> Result<Captured> {
        self.machine.try_run(&format!("corectl tune {verb}"), TUNE_LIMIT)
    }

    /// Runs a verb that must succeed.
    pub(super) fn succeed(&self, verb: &str) -> Result<String> {
        self.run(verb)?.success(&format!("corectl tune {verb}"))
    }

    /// All that it knows of the guest.
    pub(super) fn facts(&self) -> Result<GuestFacts> {
        let text = self.succeed("facts --json")?;
        Ok(GuestFacts(serde_json::from_str(&text).context("corectl tune facts --json")?))
    }
}

/// What `facts --json` printed.
pub(super) struct GuestFacts(Value);

/// What differs between two looks at a host that nobody has changed: a driver that gets other queues is given other numbers of
/// interrupts, the link is up a moment later, and what is only looked at names processes.
const PASSING: &[&str] = &["irq", "speed_mbps", "boot_id", "reports"];

impl GuestFacts {
    /// Fails with the places that are not as in `before`; says how many values were compared.
    pub(super) fn same_as(&self, before: &Self) -> Result<usize> {
        let mut differences = Vec::new();
        let is_balanced = before.is_balanced();
        let compared = compare("", &before.steady(is_balanced), &self.steady(is_balanced), &mut differences);
        ensure!(differences.is_empty(), "not as before: {}", differences.join("; "));
        ensure!(compared > 100, "only {compared} values were compared");
        Ok(compared)
    }
}

impl GuestFacts {
    /// Whether irqbalance runs, which moves interrupts every ten seconds.
    fn is_balanced(&self) -> bool {
        let settings = self.0["settings"].as_array().into_iter().flatten();
        let mut balance = settings.filter(|setting| setting["knob"] == "irq.irqbalance");
        balance.any(|setting| setting["reading"]["value"] == "active")
    }

    /// The facts without what irqbalance changes while it runs.
    fn steady(&self, is_balanced: bool) -> Value {
        let mut facts = self.0.clone();
        if let Some(settings) = facts["settings"].as_array_mut().filter(|_| is_balanced) {
            settings.retain(|setting| !setting["knob"].as_str().is_some_and(|knob| knob.starts_with("irq.affinity")));
        }
        facts
    }
}

/// Collects what differs, as `place: before → after`; returns the number of values compared.
fn compare(place: &str, before: &Value, after: &Value, differences: &mut Vec<String>) -> usize {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
            let names = names.filter(|name| !PASSING.contains(&name.as_str()));
            let null = Value::Null;
            let of = |map: &serde_json::Map<String, Value>, name: &String| map.get(name).unwrap_or(&null).clone();
            names
                .map(|name| compare(&format!("{place}/{name}"), &of(before, name), &of(after, name), differences))
                .sum()
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let pairs = before.iter().zip(after).enumerate();
            pairs.map(|(at, (before, after))| compare(&format!("{place}/{at}"), before, after, differences)).sum()
        }
        _ => {
            if before != after {
                differences.push(format!("{place}: {before} → {after}"));
            }
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(before: &str, after: &str) -> Vec<String> {
        let mut found = Vec::new();
        compare("", &serde_json::from_str(before).unwrap(), &serde_json::from_str(after).unwrap(), &mut found);
        found
    }

    #[test]
    fn a_value_a_missing_name_and_another_length_are_differences() {
        let before = r#"{"a": [1, {"b": "x"}], "c": 1}"#;
        assert!(differences(before, before).is_empty());
        assert_eq!(differences(before, r#"{"a": [1, {"b": "y"}], "c": 1}"#), [r#"/a/1/b: "x" → "y""#]);
        assert_eq!(differences(before, r#"{"a": [1, {"b": "x"}], "d": 1}"#), ["/c: 1 → null", "/d: null → 1"]);
        assert_eq!(differences(before, r#"{"a": [1], "c": 1}"#).len(), 1);
    }

    #[test]
    fn interrupts_are_compared_unless_irqbalance_moves_them() {
        let facts = |balance: &str, cpu: &str| {
            let setting =
                |knob: &str, value: &str| format!(r#"{{"knob": "{knob}", "reading": {{"value": "{value}"}}}}"#);
            let text = format!(
                r#"{{"settings": [{}, {}]}}"#,
                setting("irq.irqbalance", balance),
                setting("irq.affinity.rx", cpu)
            );
            GuestFacts(serde_json::from_str(&text).unwrap())
        };
        let words = |balance: &str| facts(balance, "1").same_as(&facts(balance, "2")).unwrap_err().to_string();
        assert!(words("inactive").starts_with("not as before"), "{}", words("inactive"));
        assert!(words("active").starts_with("only "), "{}", words("active"));
    }

    #[test]
    fn numbers_of_interrupts_may_change_and_an_empty_look_is_no_look() {
        assert!(differences(r#"{"irq": 1}"#, r#"{"irq": 2}"#).is_empty());
        let empty = || GuestFacts(serde_json::from_str("{}").unwrap());
        assert!(empty().same_as(&empty()).is_err());
    }
}
