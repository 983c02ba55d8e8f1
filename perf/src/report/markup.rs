//! HTML and SVG, written so that what others wrote cannot become markup, and every tag is closed.
//!
//! **Invariants**: text is escaped; attributes are of numbers and of names that this program has made; elements that are
//! opened are closed in order.

use std::fmt::{Display, Write as _};

/// A page under way.
#[derive(Default)]
pub(super) struct Html {
    out: String,
    open: Vec<&'static str>,
}

impl Html {
    /// Opens an element.
    pub(super) fn open(&mut self, tag: &'static str, attributes: impl Display) -> &mut Self {
        self.begin(tag, &attributes.to_string());
        self.out.push('>');
        self.open.push(tag);
        self
    }

    /// Closes the element that was opened last.
    ///
    /// # Panics
    /// If none is open.
    pub(super) fn close(&mut self) -> &mut Self {
        let tag = self.open.pop().expect("what is closed was opened");
        let _ = write!(self.out, "</{tag}>");
        if matches!(tag, "p" | "li" | "tr" | "h1" | "h2" | "h3" | "svg" | "section" | "text" | "g") {
            self.out.push('\n');
        }
        self
    }

    /// An element without content.
    pub(super) fn leaf(&mut self, tag: &'static str, attributes: impl Display) -> &mut Self {
        self.begin(tag, &attributes.to_string());
        self.out.push_str("/>\n");
        self
    }

    /// An element with nothing but text.
    pub(super) fn element(&mut self, tag: &'static str, attributes: impl Display, text: impl Display) -> &mut Self {
        self.open(tag, attributes).text(text).close()
    }

    /// Text, escaped.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        for character in text.to_string().chars() {
            match character {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                other => self.out.push(other),
            }
        }
        self
    }

    /// The style sheet, which this program brings.
    pub(super) fn style(&mut self, sheet: &'static str) -> &mut Self {
        let _ = writeln!(self.out, "<style>\n{sheet}</style>");
        self
    }

    /// The page.
    ///
    /// # Panics
    /// If an element is still open.
    pub(super) fn finish(self) -> String {
        assert!(self.open.is_empty(), "still open: {:?}", self.open);
        format!("<!DOCTYPE html>\n{}\n", self.out)
    }

    fn begin(&mut self, tag: &str, attributes: &str) {
        let gap = if attributes.is_empty() { "" } else { " " };
        let _ = write!(self.out, "<{tag}{gap}{attributes}");
    }
}
