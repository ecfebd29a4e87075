//! The colours of drawings, each one fixed `#RRGGBB`, and the style rules by which a page gives each its light or dark
//! value.

pub use plotters::style::RGBColor;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
/// What is said more quietly.
pub const MUTED: RGBColor = RGBColor(0x6E, 0x77, 0x81);
/// Rules of the grid.
pub const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEB);

/// A colour per series, told apart by readers with any colour vision (Okabe & Ito 2008, its yellow darkened, and two
/// of Tol's), with its lighter form for a dark page.
const PALETTE: [(RGBColor, &str); 8] = [
    (RGBColor(0x00, 0x72, 0xB2), "#56a8dc"),
    (RGBColor(0xD5, 0x5E, 0x00), "#f08a3c"),
    (RGBColor(0x00, 0x9E, 0x73), "#3cc79c"),
    (RGBColor(0xB0, 0x5A, 0x90), "#dd97c3"),
    (RGBColor(0x4A, 0xA3, 0xD9), "#8ccbf0"),
    (RGBColor(0xB8, 0x86, 0x0B), "#e3b947"),
    (RGBColor(0x88, 0x22, 0x55), "#d06a9b"),
    (RGBColor(0x44, 0x77, 0x44), "#84b884"),
];

/// The ordinary colours, and how the style of a page calls them, which has a value for a light and for a dark page.
const PLAIN: [(RGBColor, &str); 3] = [(INK, "ink"), (MUTED, "muted"), (GRID, "line")];

/// The colour of the series at a place, the same in every figure.
pub fn colour(place: usize) -> RGBColor {
    PALETTE[place % PALETTE.len()].0
}

/// `#RRGGBB`, as plotters writes it.
pub fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

/// [`colour`] as the style rules call it.
pub fn variable(place: usize) -> String {
    format!("var(--c{})", place % PALETTE.len())
}

/// Style rules that give each colour of the drawings its value on a light and on a dark page.
pub fn style_rules() -> String {
    let series = |value: &dyn Fn(&(RGBColor, &str)) -> String| -> String {
        let palette = PALETTE.iter().enumerate();
        palette
            .map(|(i, colours)| format!("--c{i}:{};", value(colours)))
            .collect()
    };
    let palette = PALETTE.iter().enumerate();
    let named = palette.map(|(i, (light, _))| (*light, format!("c{i}")));
    let plain = PLAIN.map(|(light, name)| (light, name.to_owned()));
    let drawn: String = named
        .chain(plain)
        .map(|(light, name)| {
            let hex = hex(light);
            format!(
                "svg [fill=\"{hex}\"]{{fill:var(--{name})}}svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}\n"
            )
        })
        .collect();
    format!(
        ":root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n{drawn}",
        series(&|(light, _)| hex(*light)),
        series(&|(_, dark)| (*dark).to_owned()),
    )
}
