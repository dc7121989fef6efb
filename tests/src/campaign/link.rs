//! What the links between hosts carry: one host's is shaped, and shaped anew now and then.

use std::time::{Duration, Instant};

use whimbrel_core::units::BytesPerSecond;
use whimbrel_lab::Lab;

use super::error::CampaignError;
use crate::draw::Draw;

/// The host whose link is shaped.
pub const SHAPED_HOST: &str = "h1";

/// How long one shape stays at least.
const SHAPE_STAYS: Duration = Duration::from_mins(10);

/// In megabytes a second with headers; `None` is no limit.
const SHAPES: [Option<f64>; 5] = [Some(10.0), Some(16.0), Some(24.0), Some(40.0), None];

/// What is left of a shaped link without Ethernet, IP and TCP headers: 1448 of 1514 bytes.
const PAYLOAD_SHARE: f64 = 0.955;

/// The links of the lab's hosts.
#[derive(Debug)]
pub struct Links {
    unshaped: BytesPerSecond,
    shape: Option<f64>,
    order: Vec<Option<f64>>,
    since: Option<Instant>,
}

impl Links {
    /// Links that carry `unshaped` without a limit.
    pub fn new(unshaped: BytesPerSecond) -> Self {
        Self { unshaped, shape: None, order: Vec::new(), since: None }
    }

    /// Whether the shaped link is due for another shape: nothing should leave that host then.
    pub fn is_due(&self) -> bool {
        self.since.is_none_or(|since| since.elapsed() >= SHAPE_STAYS)
    }

    /// Shapes the link anew. All shapes take their turn, in random order.
    ///
    /// # Errors
    /// [`CampaignError::Laboratory`].
    pub fn shape(&mut self, lab: &Lab, draw: &mut Draw) -> Result<(), CampaignError> {
        if self.order.is_empty() {
            self.order = SHAPES.to_vec();
            draw.shuffle(&mut self.order);
        }
        self.shape = self.order.pop().flatten();
        self.since = Some(Instant::now());
        match self.shape {
            Some(rate) => lab.link_shape(SHAPED_HOST, rate)?,
            None => lab.link_clear(SHAPED_HOST)?,
        }
        Ok(())
    }

    /// Whether what leaves `host` is limited.
    pub fn is_shaped(&self, host: &str) -> bool {
        host == SHAPED_HOST && self.shape.is_some()
    }

    /// What migrations from `host` may carry together.
    pub fn payload(&self, host: &str) -> BytesPerSecond {
        match self.shape {
            Some(rate) if host == SHAPED_HOST => carried(rate),
            _ => self.unshaped,
        }
    }
}

/// What a link that is shaped to so many megabytes a second, headers included, carries of a stream.
pub(crate) fn carried(megabytes_per_second: f64) -> BytesPerSecond {
    BytesPerSecond::new((megabytes_per_second * 1e6 * PAYLOAD_SHARE) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_host_is_shaped() {
        let unshaped = BytesPerSecond::mib(400);
        let mut links = Links::new(unshaped);
        assert!(links.is_due());
        assert_eq!(links.payload(SHAPED_HOST), unshaped);
        links.shape = Some(10.0);
        assert_eq!(links.payload(SHAPED_HOST), BytesPerSecond::new(9_550_000));
        assert_eq!(links.payload("h2"), unshaped);
        assert!(links.is_shaped(SHAPED_HOST) && !links.is_shaped("h2"));
    }
}
