//! Colours: eight that stay apart for colour-blind readers, and neutrals that follow the scheme.
//!
//! Okabe and Ito, "Color Universal Design" (2008): the set below without black. Figures that are
//! drawn with literal colours use the light ones; [`mapping`] turns each into its variable, so
//! that the same drawing serves both schemes.

use plotters::style::RGBColor;

/// A colour of the page, by its place in [`INKS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ink {
    name: &'static str,
    light: [u8; 3],
    dark: [u8; 3],
}

/// Light or dark page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Dark on light; paper too.
    Light,
    /// Light on dark.
    Dark,
}

const fn ink(name: &'static str, light: u32, dark: u32) -> Ink {
    Ink { name, light: channels(light), dark: channels(dark) }
}

const fn channels(rgb: u32) -> [u8; 3] {
    let [_, r, g, b] = rgb.to_be_bytes();
    [r, g, b]
}

/// Text and axes.
pub(crate) const INK: Ink = ink("ink", 0x1B_1F24, 0xE8_EBEF);
/// Secondary text.
pub(crate) const MUTED: Ink = ink("muted", 0x59_626D, 0xA0_A9B4);
/// Lines behind data.
pub(crate) const GRID: Ink = ink("grid", 0xE3_E6EA, 0x31_3840);
/// Blue.
pub(crate) const BLUE: Ink = ink("c0", 0x00_72B2, 0x2C_8FD1);
/// Orange.
pub(crate) const ORANGE: Ink = ink("c1", 0xE6_9F00, 0xE6_9F00);
/// Vermilion.
pub(crate) const VERMILION: Ink = ink("c3", 0xD5_5E00, 0xE8_7426);

/// Every colour of the page.
const INKS: [Ink; 17] = [
    INK,
    MUTED,
    GRID,
    BLUE,
    ORANGE,
    ink("c2", 0x00_9E73, 0x00_A97B),
    VERMILION,
    ink("c4", 0xCC_79A7, 0xCC_79A7),
    ink("c5", 0x56_B4E9, 0x56_B4E9),
    ink("c6", 0xF0_E442, 0xF0_E442),
    ink("page", 0xF6_F7F9, 0x0F_1216),
    ink("surface", 0xFF_FFFF, 0x17_1B20),
    ink("soft", 0xF2_F4F6, 0x20_262D),
    ink("line", 0xDC_E0E5, 0x2F_363F),
    ink("stay", 0xCF_D5DC, 0x46_505C),
    ink("link", 0x00_5F94, 0x6C_BDF0),
    ink("bad", 0xA8_4300, 0xF0_9255),
];

/// Colours that tell VMs apart before patterns must help.
pub(crate) const SERIES: usize = 7;

impl Ink {
    /// For drawing with literal colours.
    pub(crate) fn rgb(self) -> RGBColor {
        let [r, g, b] = self.light;
        RGBColor(r, g, b)
    }
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

/// The colours as custom properties of a style sheet.
pub(crate) fn variables(scheme: Scheme) -> String {
    let of = |ink: &Ink| if scheme == Scheme::Light { ink.light } else { ink.dark };
    INKS.iter().map(|ink| format!("--{}:{}", ink.name, hex(of(ink)))).collect::<Vec<_>>().join(";")
}

/// Rules that give literal colours in drawings the scheme's colours, and classes `k0`.. that fill
/// with one of the series' colours.
pub(crate) fn mapping() -> String {
    let drawn = [INK, MUTED, GRID, BLUE, ORANGE, VERMILION].map(|ink| {
        let (name, colour) = (ink.name, hex(ink.light));
        format!(
            ".plot [fill=\"{colour}\"]{{fill:var(--{name})}}\
             .plot [stroke=\"{colour}\"]{{stroke:var(--{name})}}\n"
        )
    });
    let filled = (0..SERIES).map(|k| format!(".k{k}{{fill:var(--c{k})}}")).collect::<Vec<_>>();
    format!("{}{}.stay{{fill:var(--stay)}}\n", drawn.concat(), filled.concat())
}

/// Class of the text that is readable on the series' colour `k` in both schemes.
pub(crate) fn text_on(k: usize) -> &'static str {
    if k == 0 { "on-dark" } else { "on-light" }
}
