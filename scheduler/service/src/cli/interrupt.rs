//! Counting Ctrl-C and SIGTERM, so that a loop can end in its own time.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

static COUNT: AtomicU32 = AtomicU32::new(0);
static HANDLER: OnceLock<()> = OnceLock::new();

/// Counts from now on.
pub(super) fn watch() {
    HANDLER.get_or_init(|| {
        // A program that cannot count signals is ended by them, as any other.
        if let Err(error) = ctrlc::set_handler(|| {
            COUNT.fetch_add(1, Ordering::SeqCst);
        }) {
            tracing::warn!("Ctrl-C will not cancel cleanly: {error}");
        }
    });
}

/// How often the person pressed Ctrl-C since [`watch`].
pub(super) fn count() -> u32 {
    COUNT.load(Ordering::SeqCst)
}
