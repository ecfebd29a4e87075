//! What our pages, the audit's and the report's, have in common: one style, how data lie in a page, and how it names the
//! scripts and styles that a browser may run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The colours of a light and of a dark page, told apart with any colour vision, and the parts that every page has: header,
/// contents, tables, buttons, figures, print. A page's own style comes after it.
pub const STYLE: &str = include_str!("page/page.css");

/// The expression `'sha256-…'` by which a Content-Security-Policy allows an inline script or style of exactly this text.
pub fn allowed(text: &str) -> String {
    format!(
        "'sha256-{}'",
        STANDARD.encode(Sha256::digest(text.as_bytes()))
    )
}

/// JSON that may stand in a script element: no text in it ends the element.
///
/// # Errors
/// A value that has no form in JSON.
pub fn embedded(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    Ok(json.replace('<', "\\u003c").replace('&', "\\u0026"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_ends_no_element() {
        let text = "</script><!-- & \u{2028}";
        let json = embedded(&text).unwrap();
        assert!(!json.contains(['<', '&']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    /// The example of the W3C's recommendation, CSP 3, section 8.
    #[test]
    fn a_script_is_named_by_its_hash() {
        let script = "alert('Hello, world.');";
        assert_eq!(
            allowed(script),
            "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
        );
    }

    /// Both schemes define the same colours, and each rule that names one names one that is there.
    #[test]
    fn every_colour_has_a_light_and_a_dark_value() {
        fn defined(scheme: &str) -> Vec<&str> {
            let rules = scheme.split(['{', ';', '}']);
            let names = rules.filter_map(|rule| rule.strip_prefix("--")?.split_once(':'));
            names.map(|(name, _)| name).collect()
        }
        let mut lines = STYLE.lines();
        let (light, dark) = (lines.next().unwrap(), lines.next().unwrap());
        let colours: Vec<&str> = defined(light)
            .into_iter()
            .filter(|n| *n != "width")
            .collect();
        assert!(colours.len() > 10);
        assert_eq!(colours, defined(dark));
        for used in STYLE.split("var(--").skip(1) {
            let name = used.split(')').next().unwrap();
            assert!(defined(light).contains(&name), "--{name}");
        }
    }
}
