//! What XML asks of a file and quick-xml leaves open. Expat and libxml2 refuse what breaks these rules, so a file that does
//! could not be read by those whom it is written for.

use std::collections::HashSet;

use quick_xml::events::BytesStart;

/// Real elements have one attribute at most. Bounds the work on a hostile file.
const MAX_ATTRIBUTES: usize = 64;

/// Production 2 (`Char`) of XML 1.0.
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Whether a name is one in the fourth and the fifth edition of XML alike, of no namespace. Of the letters beyond ASCII,
/// those of Latin-1, Cyrillic, kana, Han and Hangul are.
fn is_name(name: &str) -> bool {
    let opens = |c: char| {
        c.is_ascii_alphabetic()
            || c == '_'
            || matches!(c, '\u{c0}'..='\u{ff}' if c != '\u{d7}' && c != '\u{f7}')
            || matches!(c, '\u{410}'..='\u{44f}' | '\u{3041}'..='\u{3094}' | '\u{30a1}'..='\u{30fa}')
            || matches!(c, '\u{4e00}'..='\u{9fa5}' | '\u{ac00}'..='\u{d7a3}')
    };
    let goes_on = |c: char| opens(c) || c.is_ascii_digit() || c == '-' || c == '.';
    name.starts_with(opens) && name.chars().all(goes_on)
}

/// Checks a start tag: its name, and each attribute's name, quotes and value.
///
/// # Errors
/// What is wrong, for a person.
pub fn check_tag(tag: &BytesStart) -> Result<(), String> {
    let text = std::str::from_utf8(tag).map_err(|e| e.to_string())?;
    let name = std::str::from_utf8(tag.name().into_inner())
        .map_err(|e| e.to_string())?
        .to_owned();
    if !is_name(&name) {
        return Err(format!("{name:?} is no name of an element"));
    }
    let wrong = |what: &str| Err(format!("attribute of <{name}>: {what}"));
    let mut seen = HashSet::new();
    let mut rest = &text[name.len()..];
    loop {
        let attribute = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if attribute.is_empty() {
            return Ok(());
        }
        if attribute.len() == rest.len() {
            return wrong("no space in front of it");
        }
        let Some((key, value)) = attribute.split_once('=') else {
            return wrong("no value");
        };
        let key = key.trim_end();
        let of_xml = matches!(key, "xml:space" | "xml:lang" | "xml:base");
        if !(of_xml || is_name(key)) || key == "xmlns" {
            return wrong(&format!(
                "{key:?} is no name of one; an annotation has no namespaces"
            ));
        }
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some((value, after)) = quote.and_then(|q| value[1..].split_once(q)) else {
            return wrong("a value without quotes");
        };
        let plain = quick_xml::escape::unescape(value).map_err(|e| e.to_string());
        match plain {
            Err(error) => return wrong(&error),
            Ok(plain) if value.contains('<') || !plain.chars().all(is_xml_char) => {
                return wrong("a character that none can hold");
            }
            Ok(_) => {}
        }
        if !seen.insert(key) {
            return wrong(&format!("{key} is there twice"));
        }
        if seen.len() > MAX_ATTRIBUTES {
            return wrong(&format!("more than {MAX_ATTRIBUTES}"));
        }
        rest = after;
    }
}

/// Whether a processing instruction has a target that any reader takes.
pub fn is_instruction(content: &str) -> bool {
    let target = content
        .split([' ', '\t', '\r', '\n'])
        .next()
        .unwrap_or_default();
    is_name(target) && !target.eq_ignore_ascii_case("xml")
}

/// Whether a declaration says what [`DECLARATION`] says, in whichever form: XML 1.0, and UTF-8 or nothing.
pub fn is_plain_declaration(content: &str) -> bool {
    let squeezed: String = content.replace('\'', "\"");
    let words: Vec<&str> = squeezed.split_ascii_whitespace().collect();
    let encoding = |word: &str| {
        let value = word
            .strip_prefix("encoding=\"")
            .and_then(|w| w.strip_suffix('"'));
        value.is_some_and(|v| v.eq_ignore_ascii_case("utf-8"))
    };
    // The quotes of one value may be of either kind, but not of both.
    content.matches('\'').count().is_multiple_of(2)
        && match words.as_slice() {
            ["xml", "version=\"1.0\""] => true,
            ["xml", "version=\"1.0\"", word] => encoding(word),
            _ => false,
        }
}

/// What a written annotation says of itself where the raw one says something else.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
