//! In which keys two scenarios differ.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::scenario::Scenario;

/// Keys that say nothing about what a latency means: which CPUs the generator had, what it drew by lot, which of
/// several runs this was, and whether it was the one to write the values that all read.
const IMMATERIAL: [&str; 4] = ["cpus", "seed", "keys.run", "values.fill"];

/// A key and what each of the two has; `-` where it has nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyDifference {
    pub(crate) key: String,
    pub(crate) first: String,
    pub(crate) second: String,
}

/// The keys of two scenarios that differ and matter, in order.
pub(crate) fn of(first: &Scenario, second: &Scenario) -> Vec<KeyDifference> {
    let (first, second) = (keys(first), keys(second));
    let value = |keys: &BTreeMap<String, String>, key: &str| keys.get(key).cloned().unwrap_or_else(|| "-".to_owned());
    let mut names: Vec<&String> = first.keys().chain(second.keys()).collect();
    names.sort();
    names.dedup();
    let each =
        names.into_iter().filter(|key| !IMMATERIAL.contains(&key.as_str()) && first.get(*key) != second.get(*key));
    each.map(|key| KeyDifference { key: key.clone(), first: value(&first, key), second: value(&second, key) }).collect()
}

/// Every key with its value, `values.bytes` for a key in a table.
pub(crate) fn keys(scenario: &Scenario) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let value = serde_json::to_value(scenario).expect("a scenario is plain data");
    flatten("", &value, &mut all);
    all
}

fn flatten(name: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&name, value, all);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(all.insert(name.to_owned(), text.clone())),
        other => drop(all.insert(name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(more: &str) -> Scenario {
        Scenario::parse(&format!("url = \"http://127.0.0.1:1/\"\n{more}")).expect("it is right")
    }

    #[test]
    fn what_matters_is_named_and_the_rest_is_not() {
        let plain = scenario("");
        assert_eq!(of(&plain, &scenario("seed = 7\ncpus = [1]\n[keys]\nrun = 3\n[values]\nfill = true\n")), []);
        let found = of(&plain, &scenario("rate = 5\nconnections = 3\n[values]\nbytes = 7\n"));
        let text: Vec<_> = found.iter().map(|it| format!("{}: {} {}", it.key, it.first, it.second)).collect();
        assert_eq!(text, ["connections: 64 3", "rate: - 5.0", "values.bytes: 128 7"]);
    }
}
