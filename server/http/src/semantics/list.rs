//! Comma-separated lists in field values.
//!
//! **Not**: the grammar of the elements.
//! **Invariants**: a comma inside a quoted string does not separate; empty elements are skipped, as a recipient must.
//! **Source**: RFC 9110 section 5.6.1.

use crate::class;

/// Iterator over the non-empty elements of one field value, without the white space around them.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = element_end(self.rest);
            let element = class::trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// Index of the first comma outside a quoted string, or the length. An unclosed quote reaches to the end.
fn element_end(value: &[u8]) -> usize {
    let mut quoted = false;
    let mut at = 0;
    while at < value.len() {
        match value[at] {
            b',' if !quoted => return at,
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            _ => {}
        }
        at += 1;
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" , ,", &[]),
            ("a", &["a"]),
            (" a ,\tb,,c ", &["a", "b", "c"]),
            (r#"a="x,y", b"#, &[r#"a="x,y""#, "b"]),
            (r#"a="x\",y", b"#, &[r#"a="x\",y""#, "b"]),
            (r#"a="x, b"#, &[r#"a="x, b"#]),
            (r#"a="\"#, &[r#"a="\"#]),
        ];
        for (value, want) in cases {
            let got: Vec<&[u8]> = Elements::new(value.as_bytes()).collect();
            assert_eq!(got, want.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), "{value:?}");
        }
    }
}
