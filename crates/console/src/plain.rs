//! Text without what a terminal would obey. Status files, tags, answers of daemons and what containers print are other people's text, and
//! whoever writes them must not move the cursor, set titles, fill the clipboard or turn the order of letters around.

use std::{borrow::Cow, fmt::Write as _};

/// What stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// The same text without control characters: of ASCII, of ISO 6429's second set (C1), and those that change the direction of text (Unicode
/// Standard Annex 9). Lines and tabs stay, and colours, which this program gives itself.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_obeyed) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let kept = colour(rest).unwrap_or_default();
        plain.push_str(kept);
        rest = &rest[kept.len()..];
        if kept.is_empty() {
            plain.push(HIDDEN);
            rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The same JSON document, with what a terminal would obey as escapes: `serde_json` leaves DEL, C1 and directions as they are.
pub(crate) fn plain_json(document: &str) -> Cow<'_, str> {
    if !document.contains(is_obeyed) {
        return Cow::Borrowed(document);
    }
    let mut plain = String::with_capacity(document.len());
    for letter in document.chars() {
        if is_obeyed(letter) {
            // All of them are in the Basic Multilingual Plane.
            let _ = write!(plain, "\\u{:04x}", u32::from(letter));
        } else {
            plain.push(letter);
        }
    }
    Cow::Owned(plain)
}

fn is_obeyed(letter: char) -> bool {
    let directs =
        matches!(letter, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    directs || (letter.is_control() && !matches!(letter, '\n' | '\t'))
}

/// The sequence at the beginning that sets a colour or a weight, and nothing else: "select graphic rendition" (ISO 6429, 8.3.117) with values
/// under which text can be read.
fn colour(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    let readable =
        |value: &str| matches!(value.parse(), Ok(0 | 1 | 2 | 22 | 31..=37 | 39 | 90..=97)) || value.is_empty();
    let sets = parameters[end..].starts_with('m') && parameters[..end].split(';').all(readable);
    sets.then(|| &text[..2 + end + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        for (text, printed) in [
            ("plain text,\n\tin lines: ü € 🐳", "plain text,\n\tin lines: ü € 🐳"),
            ("\x1b[31mred\x1b[0m \x1b[1;33mbold\x1b[m", "\x1b[31mred\x1b[0m \x1b[1;33mbold\x1b[m"),
            // Titles, the clipboard, links, the cursor, the alternate screen.
            ("a\x1b]0;title\x07b", "a\u{fffd}]0;title\u{fffd}b"),
            ("\x1b]52;c;ZXZpbA==\x1b\\", "\u{fffd}]52;c;ZXZpbA==\u{fffd}\\"),
            ("\x1b[2J\x1b[1;1H", "\u{fffd}[2J\u{fffd}[1;1H"),
            ("\x1b[?1049h", "\u{fffd}[?1049h"),
            // Text that can't be read, and text over text.
            ("\x1b[8mhidden", "\u{fffd}[8mhidden"),
            ("\x1b[30;40mblack", "\u{fffd}[30;40mblack"),
            ("all is well\rerror", "all is well\u{fffd}error"),
            ("abc\x08\x08\x08xyz", "abc\u{fffd}\u{fffd}\u{fffd}xyz"),
            // The same in one character each, and letters in another order.
            ("\u{9b}2J\u{9d}0;title\u{9c}", "\u{fffd}2J\u{fffd}0;title\u{fffd}"),
            ("user\u{202e}nimda", "user\u{fffd}nimda"),
            ("\x1b", "\u{fffd}"),
            ("\x1b[", "\u{fffd}["),
            ("\x1b[31", "\u{fffd}[31"),
        ] {
            assert_eq!(plain(text), printed, "{text:?}");
        }
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({"what": "a\x1b]0;t\x07\u{9b}2J\u{7f}\u{202e}b", "lines": "1\n2"});
        let document = serde_json::to_string_pretty(&value).expect("JSON");
        let printed = plain_json(&document);
        assert!(!printed.contains(is_obeyed), "{printed:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).expect("JSON"), value);
    }
}
