//! Sizes of domains as they are written on the command line: "4 GiB,2" or "4 GiB,2,0.5".

use std::str::FromStr;

use whimbrel_core::units::Bytes;

/// Memory, vCPUs and expected demand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) memory: Bytes,
    pub(super) vcpus: u32,
    /// Cores that it is expected to keep busy; nobody knows where it is absent.
    pub(super) cores: Option<f64>,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let (memory, vcpus, cores) = match parts.as_slice() {
            [memory, vcpus] => (memory, vcpus, None),
            [memory, vcpus, cores] => (memory, vcpus, Some(cores)),
            _ => {
                return Err(format!(
                    "{text:?} is not MEMORY,VCPUS or MEMORY,VCPUS,CORES \
                     (hint: write for example \"4 GiB,2\")"
                ));
            }
        };
        let number = |_| format!("{vcpus:?} is not a number of vCPUs (hint: write for example 2)");
        let busy = |cores: &&str| {
            cores.parse::<f64>().map_err(|_| {
                format!("{cores:?} is not a number of busy cores (hint: write for example 0.5)")
            })
        };
        Ok(Self {
            memory: memory
                .parse()
                .map_err(|error: whimbrel_core::units::UnitError| error.to_string())?,
            vcpus: vcpus.parse().map_err(number)?,
            cores: cores.map(busy).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_or_refused_with_a_hint() {
        let size = |text: &str| text.parse::<Size>();
        assert_eq!(size("4 GiB, 2"), Ok(Size { memory: Bytes::mib(4096), vcpus: 2, cores: None }));
        assert_eq!(size("1 GiB,2,0.5").map(|size| size.cores), Ok(Some(0.5)));
        for (text, word) in [
            ("4 GiB", "MEMORY,VCPUS"),
            ("1 GiB,2,3,4", "MEMORY,VCPUS"),
            ("4,2", "no unit"),
            ("4 GiB,many", "number of vCPUs"),
            ("4 GiB,-1", "number of vCPUs"),
            ("4 GiB,2,idle", "busy cores"),
            ("", "MEMORY,VCPUS"),
        ] {
            let error = size(text).unwrap_err();
            assert!(error.contains(word) && error.contains("(hint: "), "{text:?}: {error}");
        }
    }
}
