//! Grammar of a chunk's extensions, one byte at a time.
//!
//! **Not**: keeping them; nothing uses them.
//! **Invariants**: white space is accepted only where the grammar has it, so never right before the line's end.
//! **Source**: RFC 9112 section 7.1.1; RFC 9110 section 5.6.4 (quoted strings).
//!
//! ```text
//!   chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
//!
//!   BeforeSemicolon ─";"─▶ BeforeName ─▶ Name ─BWS─▶ AfterName ─"="─▶ BeforeValue ─▶ Token ─BWS─▶ BeforeSemicolon
//!         ▲                               │                               │ quote
//!         └── BWS ── AfterQuoted ◀─quote── Quoted ◀───────────────────────┘
//! ```

use crate::class;

/// Place in the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// After white space that only a `;` may follow.
    BeforeSemicolon,
    BeforeName,
    Name,
    /// After white space that a `=` or a `;` may follow.
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    Escaped,
    AfterQuoted,
}

impl Extension {
    /// Place after the first byte behind a chunk's size; `None` if no extension begins with it.
    pub(super) fn begin(byte: u8) -> Option<Self> {
        match byte {
            b' ' | b'\t' => Some(Self::BeforeSemicolon),
            b';' => Some(Self::BeforeName),
            _ => None,
        }
    }

    /// Place after `byte`; the inner `None` after the CR that ends the line; the outer `None` if `byte` cannot be here.
    pub(super) fn step(self, byte: u8) -> Option<Option<Self>> {
        let space = matches!(byte, b' ' | b'\t');
        let token = class::is(byte, class::TOKEN);
        let next = match (self, byte) {
            (Self::BeforeSemicolon | Self::BeforeName | Self::AfterName | Self::BeforeValue, _) if space => self,
            (Self::Name, _) if space => Self::AfterName,
            (Self::Token | Self::AfterQuoted, _) if space => Self::BeforeSemicolon,
            (Self::BeforeName | Self::Name, _) if token => Self::Name,
            (Self::BeforeValue | Self::Token, _) if token => Self::Token,
            (Self::Name | Self::AfterName, b'=') => Self::BeforeValue,
            (Self::BeforeValue, b'"') => Self::Quoted,
            (Self::Quoted, b'"') => Self::AfterQuoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted, _) if class::is(byte, class::QUOTED) => Self::Quoted,
            (Self::Escaped, _) if class::is(byte, class::VALUE) => Self::Quoted,
            (Self::BeforeSemicolon | Self::Name | Self::AfterName | Self::Token | Self::AfterQuoted, b';') => {
                Self::BeforeName
            }
            (Self::Name | Self::Token | Self::AfterQuoted, b'\r') => return Some(None),
            _ => return None,
        };
        Some(Some(next))
    }
}
