//! Groups as JSON for `/v1/status`, and their sums over cores.
//!
//! **Invariants**: the names follow from the declarations: `corelane_http_requests_total` is `requests` of the object `http`.

use serde_json::{Map, Value};

use super::declare::{MetricGroup, Reading};
use super::family::Family;

/// A number summed over groups of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Whose number it is.
    pub family: &'static Family,
    /// The word of its label, if it has one.
    pub word: Option<&'static str>,
    /// The sum.
    pub number: u64,
}

/// The sums of all counters and gauges over groups, in the order of the declarations.
pub fn sums<'a, G: MetricGroup + 'a>(groups: impl IntoIterator<Item = &'a G>) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for group in groups {
        let mut at = 0;
        group.visit(&mut |family, word, reading| {
            let Reading::Number(number) = reading else { return };
            match sums.get_mut(at) {
                Some(sum) => sum.number = sum.number.wrapping_add(number),
                None => sums.push(Sum { family, word, number }),
            }
            at += 1;
        });
    }
    sums
}

/// Adds every number of a group to `status`: an object for each subject, in which a labelled family is an object again. Words
/// whose number is zero are left out of families with many.
pub fn add_to_status<G: MetricGroup>(group: &G, status: &mut Map<String, Value>) {
    /// Words of a family that are listed even when nothing has happened.
    const WORDS_MAX: usize = 8;

    group.visit(&mut |family, word, reading| {
        let Reading::Number(number) = reading else { return };
        let (subject, name) = family.status_path();
        let subject = object(status, subject);
        let value = Value::from(number);
        let Some(word) = word else {
            subject.insert(name.to_owned(), value);
            return;
        };
        let series = object(subject, name);
        let is_long = family.labels.iter().any(|label| label.words.len() > WORDS_MAX);
        if !is_long || value != 0 {
            series.insert(word.to_owned(), value);
        }
    });
}

fn object<'a>(parent: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let child = parent.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    child.as_object_mut().expect("it was made one")
}

#[cfg(test)]
mod tests {
    use super::super::{Counter, Gauge};
    use super::*;
    use serde_json::json;

    crate::metrics! {
        /// A group.
        struct Kitchen {
            /// Meals.
            meals: Counter = "corelane_kitchen_meals_total",
            /// Guests.
            guests: [Gauge; 2] = "corelane_kitchen_guests" by "table" in ["door", "window"],
        }
    }

    #[test]
    fn values_are_found_under_their_names() {
        let kitchen = Kitchen::default();
        kitchen.meals.add(3);
        kitchen.guests[1].set(4);
        let mut status = Map::new();
        add_to_status(&kitchen, &mut status);
        assert_eq!(Value::from(status), json!({ "kitchen": { "meals": 3, "guests": { "door": 0, "window": 4 } } }));
    }

    #[test]
    fn sums_are_by_series() {
        let kitchens = [Kitchen::default(), Kitchen::default(), Kitchen::default()];
        kitchens[0].meals.add(3);
        kitchens[2].meals.add(4);
        kitchens[1].guests[0].set(5);
        let found: Vec<_> = sums(&kitchens).into_iter().map(|sum| (sum.family.name(), sum.word, sum.number)).collect();
        let expected = [
            ("corelane_kitchen_meals_total", None, 7),
            ("corelane_kitchen_guests", Some("door"), 5),
            ("corelane_kitchen_guests", Some("window"), 0),
        ];
        assert_eq!(found, expected);
    }
}
