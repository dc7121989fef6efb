//! How much of a foreign file is believed: sizes, counts and values beyond which it is refused.
//!
//! The limits lie well above every published trace, and low enough that a file that breaks them
//! could not have filled the memory before.

/// Longest line in bytes; the longest published ones (Google 2019 in JSON) are below 2 KiB.
pub(crate) const LINE_MAX: usize = 1 << 16;

/// Most columns of a row.
pub(crate) const COLUMNS_MAX: usize = 256;

/// Most guests of a trace; Azure's second one has 2.7 million.
pub(crate) const GUESTS_MAX: usize = 20_000_000;

/// Longest name of a guest in bytes; Azure's are 64.
pub(crate) const NAME_MAX: usize = 256;

/// Most files of a set; Bitbrains has 1,750, `PlanetLab` 11,746.
pub(crate) const FILES_MAX: usize = 1_000_000;

/// Deepest directory below a set's own.
pub(crate) const DEPTH_MAX: usize = 8;

/// A packed file is refused when it unpacks to more than this many times its own size ...
pub(crate) const RATIO_MAX: u64 = 500;

/// ... and to more bytes than this.
pub(crate) const RATIO_FROM: u64 = 1 << 24;

/// Largest window of a zstd file, as a power of two: what unpacking it may take of the memory.
pub(crate) const WINDOW_LOG_MAX: u32 = 27;

/// Latest moment of a trace in microseconds after its begin: ten years.
pub(crate) const TIME_MAX_MICROS: f64 = 3653.0 * 86_400e6;

/// Latest moment on a calendar in microseconds after 1970: the year 2200.
pub(crate) const DATE_MAX_MICROS: f64 = 7_258_118_400e6;

/// Most CPU of a guest, in thousandths of a core: 65,536 cores.
pub(crate) const CPU_MAX_MILLICORES: f64 = 65_536_000.0;

/// Most memory of a guest in bytes: 1 PiB.
pub(crate) const MEMORY_MAX_BYTES: f64 = (1_u64 << 50) as f64;
