//! The constants of the laboratory in which `datasets/campaign` was recorded: three hosts on one
//! machine of two cores, with emulated guests.
//!
//! Fitted on the campaign's learning guests alone, by coordinate descent on the median and mean
//! error of time and downtime; the guests that judge took no part.

use whimbrel_core::units::{Bytes, BytesPerSecond, Share, Span};

use super::{Physics, Range, RangeF64, StreamPhysics};

impl Physics {
    /// Constants of the recorded laboratory.
    pub fn laboratory() -> Self {
        let micros =
            |least, most| Range { least: Span::from_micros(least), most: Span::from_micros(most) };
        let mib = BytesPerSecond::mib;
        let left = [Share::ONE, Share::clamped(0.17)];
        Self {
            setup: micros(330_000, 530_000),
            device_downtime: micros(8_000, 15_000),
            post_copy_downtime: micros(2_000, 7_800),
            efficiency: RangeF64 { least: 1.0, most: 1.0 },
            stream: StreamPhysics {
                period_overrun: Span::from_micros(200),
                packets_beyond: 0.52,
                tls_stream: mib(125),
                tls_setup: Span::from_millis(440),
                zlib: [mib(23), mib(56)],
                zstd: [mib(143), mib(105)],
                zlib_left: left,
                zstd_left: left,
                free_cores: 2,
                socket_queue: Bytes::mib(1),
                link_queue: Span::from_millis(40),
                fault_wait: Span::from_micros(175),
                ..StreamPhysics::default()
            },
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_in_range() {
        assert_eq!(Physics::laboratory().check_ranges(), Ok(()));
    }
}
