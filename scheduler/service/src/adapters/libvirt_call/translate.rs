//! A plan's settings in the terms of libvirt's migration call.
//!
//! Pure. Never judges the settings: what QEMU would refuse was refused with the plan, and what
//! this libvirt cannot do it says itself (before 9.4 it compresses no channels).

use whimbrel_collector::libvirt::{MigrationCall, MigrationFlags};
use whimbrel_core::settings::{Compression, MigrationSettings, Mode, Transport};

/// The call that migrates to `destination` as `settings` say. A `persistent` domain takes its
/// definition along.
pub(super) fn call(
    settings: &MigrationSettings,
    destination: &str,
    persistent: bool,
) -> MigrationCall {
    use MigrationFlags as Flags;
    let several = settings.channels > 1;
    let optional = [
        (persistent, Flags::PERSIST_DESTINATION | Flags::UNDEFINE_SOURCE),
        (settings.transport == Transport::Tls, Flags::TLS),
        (settings.mode == Mode::AutoConverge, Flags::AUTO_CONVERGE),
        (settings.mode == Mode::PostCopy, Flags::POST_COPY),
        (settings.compression != Compression::None, Flags::COMPRESSED),
        (several, Flags::PARALLEL),
    ];
    let always = Flags::LIVE | Flags::PEER_TO_PEER | Flags::ABORT_ON_ERROR;
    let wanted = optional.into_iter().filter(|(wanted, _)| *wanted);
    MigrationCall {
        destination: destination.to_owned(),
        data_uri: None,
        flags: wanted.fold(always, |flags, (_, flag)| flags | flag),
        bandwidth_limit: settings.bandwidth_limit,
        post_copy_bandwidth_limit: settings
            .bandwidth_limit
            .filter(|_| settings.mode == Mode::PostCopy),
        parallel_connections: several.then_some(settings.channels),
        throttle: (settings.mode == Mode::AutoConverge).then_some(settings.throttle),
        compression: settings.compression,
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        settings::Throttle,
        units::{Bytes, BytesPerSecond},
    };

    use super::*;

    const ALWAYS: [MigrationFlags; 3] =
        [MigrationFlags::LIVE, MigrationFlags::PEER_TO_PEER, MigrationFlags::ABORT_ON_ERROR];

    fn translated(settings: &MigrationSettings) -> MigrationCall {
        call(settings, "qemu+tls://b/system", false)
    }

    fn flags(more: &[MigrationFlags]) -> MigrationFlags {
        let [first, rest @ ..] = ALWAYS;
        rest.iter().chain(more).fold(first, |flags, flag| flags | *flag)
    }

    #[test]
    fn plain_settings_ask_for_nothing_special() {
        let plain = translated(&MigrationSettings::default());
        assert_eq!(plain.flags, flags(&[]));
        assert_eq!((plain.parallel_connections, plain.throttle), (None, None));
        assert_eq!(plain.post_copy_bandwidth_limit, None);
        let kept = call(&MigrationSettings::default(), "qemu+tls://b/system", true);
        let takes = [MigrationFlags::PERSIST_DESTINATION, MigrationFlags::UNDEFINE_SOURCE];
        assert_eq!(kept.flags, flags(&takes));
    }

    #[test]
    fn each_mode_has_its_flag_and_parameters() {
        let cap = Some(BytesPerSecond::mib(30));
        let throttle = Throttle { initial_percent: 30, increment_percent: 15 };
        let settings = MigrationSettings { bandwidth_limit: cap, throttle, ..Default::default() };
        let slowed =
            translated(&MigrationSettings { mode: Mode::AutoConverge, ..settings.clone() });
        assert_eq!(slowed.flags, flags(&[MigrationFlags::AUTO_CONVERGE]));
        assert_eq!((slowed.throttle, slowed.post_copy_bandwidth_limit), (Some(throttle), None));
        let after = translated(&MigrationSettings { mode: Mode::PostCopy, ..settings });
        assert_eq!(after.flags, flags(&[MigrationFlags::POST_COPY]));
        assert_eq!((after.bandwidth_limit, after.post_copy_bandwidth_limit), (cap, cap));
        assert_eq!(after.throttle, None);
    }

    #[test]
    fn channels_compression_and_protection() {
        let compression = Compression::Zstd;
        let settings = MigrationSettings {
            channels: 4,
            compression,
            transport: Transport::Tls,
            ..Default::default()
        };
        let several = translated(&settings);
        let wanted = [MigrationFlags::TLS, MigrationFlags::PARALLEL, MigrationFlags::COMPRESSED];
        assert_eq!(several.flags, flags(&wanted));
        assert_eq!((several.parallel_connections, several.compression), (Some(4), compression));
        let compression = Compression::Xbzrle { cache: Bytes::mib(64) };
        let delta = translated(&MigrationSettings { compression, ..Default::default() });
        assert_eq!(delta.flags, flags(&[MigrationFlags::COMPRESSED]));
        assert_eq!(delta.compression, compression);
    }
}
