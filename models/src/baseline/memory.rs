//! Memory over bandwidth: what operators reckon in their heads, and what simulators of clouds compute.

use whimbrel_core::predict::{MigrationRequest, PredictError, Prediction, Predictor};

use super::{Constants, Figures, certain};

/// All memory is sent once; it always converges. (Calheiros et al., "`CloudSim`", Software: Practice
/// and Experience 41, 2011: migration delay is memory over bandwidth.)
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryOverBandwidth {
    /// Fixed cost, efficiency and downtime; the memory with content is not the model's.
    pub constants: Constants,
}

impl Predictor for MemoryOverBandwidth {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let (stream, _) = self.constants.stream(request)?;
        let bytes = request.domain.memory.as_f64();
        let figures = Figures {
            converges: true,
            seconds: self.constants.fixed_seconds + bytes / stream,
            bytes,
            downtime_seconds: self.constants.downtime(request.settings.mode).max(0.0),
            stall: None,
        };
        Ok(certain("memory-over-bandwidth/2", figures))
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::Span;

    use super::*;
    use crate::baseline::samples::ask;

    #[test]
    fn it_knows_no_dirtying() {
        let said = ask(&MemoryOverBandwidth::default(), &[(1, 500)], |_| ());
        assert_eq!(said.total_time.p50, Span::from_seconds(10));
        assert!(said.likely_converges());
    }
}
