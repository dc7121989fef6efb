//! How the migrations of a campaign are done.
//!
//! Kinds are dealt from one shuffled deck, so that their shares are met exactly over the whole
//! campaign. One setting of each guest is used three times, apart from each other: what differs
//! between those three is noise that no model can foresee.

use whimbrel_core::{
    ids::{OrderId, VmId},
    settings::{Compression, MigrationSettings, Mode, Throttle, Transport},
    units::{Bytes, BytesPerSecond, Span},
};

use super::error::CampaignError;
use crate::draw::Draw;

/// Migrations of each guest.
pub const ROWS_PER_GUEST: usize = 12;

/// Places of the setting that is used three times.
pub const REPLICATE_PLACES: [usize; 3] = [1, 5, 9];

/// Different settings of each guest.
const SETTINGS_PER_GUEST: usize = ROWS_PER_GUEST - REPLICATE_PLACES.len() + 1;

/// Kinds and their shares in percent. Where channels cannot be compressed, that share is plain
/// pre-copy's.
const SHARES_PERCENT: [(Kind, usize); 7] = [
    (Kind::PreCopy, 41),
    (Kind::AutoConverge, 13),
    (Kind::PostCopy, 13),
    (Kind::Xbzrle, 9),
    (Kind::Channels, 8),
    (Kind::Tls, 6),
    (Kind::Compressed, 10),
];

/// Slowest and fastest cap, in MiB/s.
const CAP_LIMITS_MIB: (f64, f64) = (6.0, 60.0);

/// Shortest and longest first pass that a cap may make, in seconds.
const FIRST_PASS_LIMITS_SECONDS: (f64, f64) = (1.2, 10.0);

/// QEMU's downtime limits, in milliseconds.
const DOWNTIME_LIMITS_MILLIS: [u64; 7] = [30, 50, 100, 200, 300, 500, 1000];

/// Of how many in 100 migrations no cap is set.
const UNCAPPED_PERCENT: usize = 8;

/// Of how many in 100 migrations that are not plain the stream is encrypted.
const TLS_PERCENT: usize = 20;

/// What a migration is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Plain pre-copy.
    PreCopy,
    /// Pre-copy that slows the guest.
    AutoConverge,
    /// Post-copy after some bitmap reads.
    PostCopy,
    /// Pre-copy that sends differences.
    Xbzrle,
    /// Pre-copy over several streams.
    Channels,
    /// Plain pre-copy, encrypted.
    Tls,
    /// Pre-copy over several streams, each compressed.
    Compressed,
}

/// One migration to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its order, made of the guest's name and its place.
    pub id: OrderId,
    /// How it is done.
    pub settings: MigrationSettings,
    /// Whether it is one of three alike.
    pub replicate: bool,
}

/// What the caps of a guest depend on.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// What the first pass sends.
    pub first_pass: Bytes,
    /// No cap above this, in MiB/s.
    pub cap_most_mib: f64,
}

/// The kinds of all settings of a campaign of `guests` guests, in random order; some compress
/// their channels if `compressed_channels` says so.
pub fn deck(draw: &mut Draw, guests: usize, compressed_channels: bool) -> Vec<Kind> {
    let all = guests * SETTINGS_PER_GUEST;
    let of_kind = |(kind, percent): (Kind, usize)| vec![kind; all * percent / 100];
    let dealt = |(kind, _): &(Kind, usize)| *kind != Kind::Compressed || compressed_channels;
    let mut deck: Vec<Kind> = SHARES_PERCENT.into_iter().filter(dealt).flat_map(of_kind).collect();
    deck.resize(all, Kind::PreCopy);
    draw.shuffle(&mut deck);
    deck
}

/// The migrations of the guest `vm`, whose kinds come from `kinds`.
///
/// # Errors
/// [`CampaignError::Name`], which no drawn name gives.
pub fn rows(
    draw: &mut Draw,
    kinds: &mut Vec<Kind>,
    vm: &VmId,
    bounds: &Bounds,
) -> Result<Vec<Row>, CampaignError> {
    let first = kinds.len().saturating_sub(SETTINGS_PER_GUEST);
    let dealt = kinds.split_off(first);
    let mut others = dealt.into_iter().map(|kind| settings(draw, kind, bounds)).collect::<Vec<_>>();
    // The deck is shuffled, so that any of them is as good as another.
    let repeated = others.pop().unwrap_or_default();
    let mut others = others.into_iter();
    let row = |place: usize| {
        let replicate = REPLICATE_PLACES.contains(&place);
        let settings = if replicate { None } else { others.next() };
        let settings = settings.unwrap_or_else(|| repeated.clone());
        Ok(Row { id: OrderId::new(&format!("{vm}-{place:02}"))?, settings, replicate })
    };
    (0..ROWS_PER_GUEST).map(row).collect()
}

fn settings(draw: &mut Draw, kind: Kind, bounds: &Bounds) -> MigrationSettings {
    let mut settings = MigrationSettings {
        bandwidth_limit: cap(draw, bounds),
        downtime_limit: Span::from_millis(draw.of(&DOWNTIME_LIMITS_MILLIS)),
        ..MigrationSettings::default()
    };
    match kind {
        Kind::PreCopy | Kind::Tls => {}
        Kind::AutoConverge => {
            let (initial_percent, increment_percent) = draw.of(&[(20, 10), (30, 20), (50, 20)]);
            settings.mode = Mode::AutoConverge;
            settings.throttle = Throttle { initial_percent, increment_percent };
        }
        Kind::PostCopy => {
            settings.mode = Mode::PostCopy;
            settings.reads_before_post_copy = draw.between(0, 3);
        }
        Kind::Xbzrle => {
            let cache = Bytes::mib(draw.of(&[16, 32, 64, 128]));
            settings.compression = Compression::Xbzrle { cache };
        }
        Kind::Channels => settings.channels = draw.of(&[2, 3, 4]),
        Kind::Compressed => {
            settings.channels = draw.of(&[2, 3, 4]);
            settings.compression = draw.of(&[Compression::Zlib, Compression::Zstd]);
        }
    }
    let encrypted = match kind {
        Kind::PreCopy => false,
        Kind::Tls => true,
        _ => draw.chance(TLS_PERCENT),
    };
    settings.transport = if encrypted { Transport::Tls } else { Transport::Tcp };
    settings
}

/// Whole MiB/s, which is libvirt's unit; `None` leaves it to the link.
fn cap(draw: &mut Draw, bounds: &Bounds) -> Option<BytesPerSecond> {
    let uncapped = draw.chance(UNCAPPED_PERCENT);
    let content_mib = bounds.first_pass.as_f64() / f64::from(1 << 20);
    let (shortest, longest) = FIRST_PASS_LIMITS_SECONDS;
    let (least, most) = CAP_LIMITS_MIB;
    let least = least.max(content_mib / longest);
    let most = most.min(content_mib / shortest).min(bounds.cap_most_mib).max(least);
    let cap = draw.log_between(least, most).round().max(1.0);
    (!uncapped).then(|| BytesPerSecond::mib(cap as u64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::campaign::behaviours;

    /// What a setting is about, from the setting alone.
    fn kind_of(settings: &MigrationSettings) -> Kind {
        match settings {
            s if s.mode == Mode::AutoConverge => Kind::AutoConverge,
            s if s.mode == Mode::PostCopy => Kind::PostCopy,
            s if matches!(s.compression, Compression::Xbzrle { .. }) => Kind::Xbzrle,
            s if s.compression != Compression::None => Kind::Compressed,
            s if s.channels > 1 => Kind::Channels,
            s if s.transport == Transport::Tls => Kind::Tls,
            _ => Kind::PreCopy,
        }
    }

    #[test]
    fn kinds_keep_their_shares() {
        for seed in 0..5 {
            let planned = behaviours::draw(seed, true).unwrap();
            let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
            let rows: Vec<_> = planned.iter().flat_map(|guest| &guest.rows).collect();
            for row in &rows {
                *counts.entry(kind_of(&row.settings)).or_default() += 1;
            }
            for (kind, percent) in SHARES_PERCENT {
                let share = counts[&kind] as f64 * 100.0 / rows.len() as f64;
                assert!((share - percent as f64).abs() < 4.0, "{kind:?}: {share} %");
            }
            let uncapped = rows.iter().filter(|row| row.settings.bandwidth_limit.is_none()).count();
            assert!((45..120).contains(&uncapped), "{uncapped}");
            let without = behaviours::draw(seed, false).unwrap();
            let mut rows = without.iter().flat_map(|guest| &guest.rows);
            assert!(rows.all(|row| kind_of(&row.settings) != Kind::Compressed));
        }
    }

    #[test]
    fn three_of_each_guest_are_alike_and_never_in_a_row() {
        for guest in behaviours::draw(3, true).unwrap() {
            let alike: Vec<usize> =
                (0..ROWS_PER_GUEST).filter(|place| guest.rows[*place].replicate).collect();
            assert_eq!(alike, REPLICATE_PLACES);
            assert!(alike.windows(2).all(|pair| pair[1] - pair[0] > 1));
            let first = &guest.rows[alike[0]].settings;
            assert!(alike.iter().all(|place| guest.rows[*place].settings == *first));
        }
    }

    #[test]
    fn caps_send_the_first_pass_within_their_limits() {
        for content_mib in [14, 48, 100, 256] {
            let first_pass = Bytes::mib(content_mib);
            let bounds = Bounds { first_pass, cap_most_mib: f64::INFINITY };
            let mut draw = Draw::new(content_mib);
            for cap in (0..200).filter_map(|_| cap(&mut draw, &bounds)) {
                let mib = cap.as_f64() / f64::from(1 << 20);
                assert!((6.0..=60.0).contains(&mib), "{mib}");
                // A cap is rounded to whole MiB/s.
                let seconds = content_mib as f64 / mib;
                assert!((1.1..=10.9).contains(&seconds), "{content_mib} MiB at {mib} MiB/s");
            }
        }
        let storm = Bounds { first_pass: Bytes::mib(90), cap_most_mib: 31.0 };
        let mut draw = Draw::new(1);
        let caps = (0..200).filter_map(|_| cap(&mut draw, &storm));
        assert!(caps.into_iter().all(|cap| cap <= BytesPerSecond::mib(31)));
    }
}
