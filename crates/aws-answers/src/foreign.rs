//! An answer that is not AWS's, as an error shows it.

use std::fmt;

/// How many characters of an answer are shown.
const SHOWN: usize = 120;

/// An answer to a call of AWS that AWS did not give. Whether the call took effect is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The content type, where it names one, fit to be printed.
    pub content_type: Option<String>,
    /// The first words of the body, without markup, fit to be printed; empty where it has none.
    pub beginning: String,
}

impl ForeignAnswer {
    /// What can be said of an answer of this status, content type and body.
    pub fn new(status: u16, content_type: Option<&str>, body: &[u8]) -> Self {
        Self {
            status,
            content_type: content_type.map(printable).filter(|text| !text.is_empty()),
            beginning: printable(&words(&String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]))),
        }
    }
}

impl fmt::Display for ForeignAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content_type = self.content_type.as_deref().unwrap_or("no content type");
        write!(f, "an answer that is not AWS's (HTTP status {}, {content_type}", self.status)?;
        if self.beginning.is_empty() { f.write_str(", without text)") } else { write!(f, ": \"{}\")", self.beginning) }
    }
}

/// The text between the tags of a page; scripts and style sheets are no text. Everything, where there is no tag.
fn words(body: &str) -> String {
    let mut text = String::new();
    let mut rest = body;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let unseen = ["script", "style"].into_iter().find(|name| starts_with(tag, name));
        rest = match unseen {
            Some(name) => tag.find(&format!("</{name}")).map_or("", |end| &tag[end + 1..]),
            None => tag,
        };
        rest = rest.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    if text.trim().is_empty() { body.to_owned() } else { text }
}

fn starts_with(tag: &str, name: &str) -> bool {
    tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// A bounded line without control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    let words =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_are_shown_and_nothing_that_a_terminal_obeys() {
        let page = "<!DOCTYPE html><html><head><style>body { color: red }</style><script>alert('<b>')</script>\
                    <title>Access\x1b[2J denied</title></head><body>\r\n<p>by your administrator</p>";
        let shown = ForeignAnswer::new(403, Some("text/html; charset=utf-8\x07"), page.as_bytes()).to_string();
        let expected = "an answer that is not AWS's (HTTP status 403, text/html; charset=utf-8: \"Access [2J denied by your administrator\")";
        assert_eq!(shown, expected);

        let shown = ForeignAnswer::new(200, None, b"").to_string();
        assert_eq!(shown, "an answer that is not AWS's (HTTP status 200, no content type, without text)");

        // What is cut in a tag or in a letter, and what is no text at all.
        for body in
            [&b"<html><bo"[..], b"<script>never ended", b"caf\xc3", b"<", b"\xff\xfe\x00", "ä".repeat(999).as_bytes()]
        {
            let answer = ForeignAnswer::new(502, Some(&"x".repeat(999)), body);
            assert!(answer.beginning.chars().count() <= SHOWN + 1, "{answer}");
            assert!(!answer.to_string().chars().any(char::is_control), "{answer}");
        }
    }
}
