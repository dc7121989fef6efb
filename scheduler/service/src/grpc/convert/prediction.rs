//! Predictions with their bands.

use whimbrel_core::{
    HostId, Prediction,
    predict::{Impact, Quantiles, Stall},
    units::{Bytes, Span},
};
use whimbrel_proto::v1;

use super::{Malformed, Wire, from_optional, name, required, share};

impl Wire for (HostId, Prediction) {
    type Message = v1::HostPrediction;

    fn to_wire(&self) -> v1::HostPrediction {
        let (host, prediction) = self;
        v1::HostPrediction { to_host: host.to_string(), prediction: Some(prediction.to_wire()) }
    }

    fn from_wire(message: v1::HostPrediction) -> Result<Self, Malformed> {
        let prediction = required("prediction", message.prediction)?;
        Ok((name("to_host", &message.to_host)?, Prediction::from_wire(prediction)?))
    }
}

impl Wire for Prediction {
    type Message = v1::Prediction;

    fn to_wire(&self) -> v1::Prediction {
        v1::Prediction {
            model: self.model.clone(),
            converges_share: self.converges.get(),
            total_time_micros: Some(self.total_time.map(Span::as_micros).to_wire()),
            transferred_bytes: Some(self.transferred.map(Bytes::get).to_wire()),
            downtime_micros: Some(self.downtime.map(Span::as_micros).to_wire()),
            stall: self.stall.as_ref().map(Wire::to_wire),
            caveats: self.caveats.clone(),
            impact: self.impact.as_ref().map(Wire::to_wire),
        }
    }

    fn from_wire(message: v1::Prediction) -> Result<Self, Malformed> {
        let band = |field, band| Quantiles::from_wire(required(field, band)?);
        Ok(Self {
            model: message.model,
            converges: share("prediction.converges_share", message.converges_share)?,
            total_time: band("prediction.total_time_micros", message.total_time_micros)?
                .map(Span::from_micros),
            transferred: band("prediction.transferred_bytes", message.transferred_bytes)?
                .map(Bytes::new),
            downtime: band("prediction.downtime_micros", message.downtime_micros)?
                .map(Span::from_micros),
            stall: from_optional(message.stall)?,
            caveats: message.caveats,
            impact: from_optional(message.impact)?,
        })
    }
}

impl Wire for Quantiles<u64> {
    type Message = v1::Band;

    fn to_wire(&self) -> v1::Band {
        let Self { p025, p05, p25, p50, p75, p95, p975 } = *self;
        v1::Band { p025, p05, p25, p50, p75, p95, p975 }
    }

    fn from_wire(message: v1::Band) -> Result<Self, Malformed> {
        let v1::Band { p025, p05, p25, p50, p75, p95, p975 } = message;
        Ok(Self { p025, p05, p25, p50, p75, p95, p975 })
    }
}

impl Wire for Impact {
    type Message = v1::Impact;

    fn to_wire(&self) -> v1::Impact {
        v1::Impact {
            throughput_loss_share: self.throughput_loss.get(),
            service_gap_micros: Some(self.service_gap.map(Span::as_micros).to_wire()),
            faults: self.faults,
            fault_stall_micros: self.fault_stall.as_micros(),
        }
    }

    fn from_wire(message: v1::Impact) -> Result<Self, Malformed> {
        let gap = required("impact.service_gap_micros", message.service_gap_micros)?;
        Ok(Self {
            throughput_loss: share("impact.throughput_loss_share", message.throughput_loss_share)?,
            service_gap: Quantiles::from_wire(gap)?.map(Span::from_micros),
            faults: message.faults,
            fault_stall: Span::from_micros(message.fault_stall_micros),
        })
    }
}

impl Wire for Stall {
    type Message = v1::Stall;

    fn to_wire(&self) -> v1::Stall {
        v1::Stall {
            round_micros: self.round.as_micros(),
            remaining_bytes: self.remaining.get(),
            downtime_limit_needed_micros: self.downtime_limit_needed.as_micros(),
        }
    }

    fn from_wire(message: v1::Stall) -> Result<Self, Malformed> {
        Ok(Self {
            round: Span::from_micros(message.round_micros),
            remaining: Bytes::new(message.remaining_bytes),
            downtime_limit_needed: Span::from_micros(message.downtime_limit_needed_micros),
        })
    }
}
