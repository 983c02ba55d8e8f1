//! A reader of logfmt lines that shares no code with the server.
//!
//! **Invariants**: strict: what is no `name=value` is an error, so that a malformed line fails its test.

use std::collections::BTreeMap;

/// The pairs of a line without its end.
pub(crate) fn pairs(line: &str) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or(format!("no value: {rest:?}"))?;
        if name.is_empty() || !name.chars().all(|char| char.is_ascii_lowercase() || char == '_') {
            return Err(format!("the name {name:?}"));
        }
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') { unquote(quoted)? } else { bare(after)? };
        if pairs.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} twice"));
        }
        rest = match after.strip_prefix(' ') {
            Some(next) if !next.is_empty() => next,
            None if after.is_empty() => "",
            _ => return Err(format!("after a value: {after:?}")),
        };
    }
    Ok(pairs)
}

fn bare(text: &str) -> Result<(String, &str), String> {
    let end = text.find(' ').unwrap_or(text.len());
    let value = &text[..end];
    let is_bare =
        !value.is_empty() && !value.contains(['"', '=', '\\']) && value.chars().all(|char| !char.is_control());
    if is_bare { Ok((value.to_owned(), &text[end..])) } else { Err(format!("the bare value {value:?}")) }
}

fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                other => return Err(format!("the escape {other:?}")),
            },
            control if control.is_control() => return Err(format!("a control character: {control:?}")),
            other => value.push(other),
        }
    }
    Err("a quote that does not end".to_owned())
}

/// The bytes of a value in which some are written `\xNN`.
pub(crate) fn bytes_of(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'\\' {
            assert_eq!(after[0], b'x', "{value}");
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[1..3]).unwrap(), 16).unwrap());
            rest = &after[3..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}
