//! Text of others, made fit for a terminal.
//!
//! **Invariants**: what is returned moves no cursor, changes no colour and turns no writing direction.

/// The text with everything that a terminal would act on replaced: control characters but line feeds, and marks of direction.
#[must_use]
pub fn printable(text: &str) -> String {
    let is_direction =
        |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let fit = |letter: char| {
        if letter != '\n' && (letter.is_control() || is_direction(letter)) {
            char::REPLACEMENT_CHARACTER
        } else {
            letter
        }
    };
    text.chars().map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_write_to_the_terminal() {
        assert_eq!(
            printable("eth0\u{1b}[2J\r\u{9b}H\u{202e}x\nline é"),
            "eth0\u{fffd}[2J\u{fffd}\u{fffd}H\u{fffd}x\nline é"
        );
    }
}
