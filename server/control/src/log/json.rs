//! One event as one line of JSON: an object whose values are strings.
//!
//! **Not** a writer. **Invariants**: a line has one line end, its last byte; values are cut as in logfmt.
//!
//! **Source**: RFC 8259; RFC 3339 section 5.6.

use super::logfmt::{LogFields, push_time, write_value};

/// Appends a line with the time and the fields, those of `head` first.
pub(super) fn encode(out: &mut String, wall_ms: u64, head: LogFields<'_>, fields: LogFields<'_>) {
    out.push_str("{\"time\":\"");
    push_time(out, wall_ms / 1000);
    out.push('"');
    let mut value = String::new();
    for (name, field) in head.iter().chain(fields) {
        value.clear();
        write_value(&mut value, field);
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":");
        out.push_str(&serde_json::Value::from(value.as_str()).to_string());
    }
    out.push_str("}\n");
}
