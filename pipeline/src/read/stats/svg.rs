//! The few things that both figures need of SVG beyond plotters: escapes, base64, and colours that follow the reader's
//! light or dark setting.

use plotters::style::RGBColor;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
/// What is said more quietly.
pub const MUTED: RGBColor = RGBColor(0x6E, 0x77, 0x81);
/// Rules of the grid.
pub const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEB);
/// Ordinary points.
pub const POINT: RGBColor = RGBColor(0x3B, 0x6E, 0xA5);
/// What is marked.
pub const MARK: RGBColor = RGBColor(0xC6, 0x28, 0x28);

/// The colours above in the dark.
const DARK: [(RGBColor, &str); 5] = [
    (INK, "#e6e8eb"),
    (MUTED, "#9aa4af"),
    (GRID, "#31363d"),
    (POINT, "#7fb2e5"),
    (MARK, "#ff7b72"),
];

/// The style sheet that every figure opens with. Rules of a style sheet win over the attributes that plotters writes,
/// so the figure needs no other change.
pub fn style() -> String {
    let dark: String = DARK
        .iter()
        .map(|(colour, dark)| {
            let hex = hex(*colour);
            format!("[fill=\"{hex}\"]{{fill:{dark}}}[stroke=\"{hex}\"]{{stroke:{dark}}}")
        })
        .collect();
    format!(
        "<style>text{{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}}\
         @media (prefers-color-scheme:dark){{{dark}}}</style>\n"
    )
}

/// `#RRGGBB`, as plotters writes it.
pub fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

/// Text made safe for XML, in content and in attributes; characters that XML does not allow are left out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {}
            c => out.push(c),
        }
    }
    out
}

/// At most `length` characters, the last one an ellipsis where some were cut.
pub fn shorten(text: &str, length: usize) -> String {
    match text.chars().count() > length {
        true => {
            let kept: String = text.chars().take(length.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_shortened() {
        assert_eq!(
            escape("A & \"B\" <'c'>\u{0}"),
            "A &amp; &quot;B&quot; &lt;&apos;c&apos;&gt;"
        );
        assert_eq!(shorten("L'Oréal Paris", 9), "L'Oréal…");
        assert_eq!(shorten("zara", 4), "zara");
    }
}
