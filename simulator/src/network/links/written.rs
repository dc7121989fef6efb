//! Links as they are written: what follows from the rest is left out, and what is read is checked.
//!
//! Never here: rates.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{LinkId, Links, Stream, StreamId, rate};

/// Links and streams without their scratch space.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    capacities: Vec<f64>,
    tight: Vec<LinkId>,
    streams: Vec<Option<WrittenStream>>,
    free: Vec<StreamId>,
    touched: Vec<LinkId>,
    touched_streams: Vec<StreamId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStream {
    links: Vec<LinkId>,
    cap: f64,
    rate: f64,
}

/// Written links that cannot be.
#[derive(Debug, Error)]
#[error(
    "stored links name {what} {id}, but there are {count} \
     (hint: the file was cut or edited; begin again from an earlier one)"
)]
pub(super) struct Unknown {
    what: &'static str,
    id: u32,
    count: usize,
}

impl From<Links> for Written {
    fn from(links: Links) -> Self {
        let written = |stream: &Stream| WrittenStream {
            links: stream.crossed().to_vec(),
            cap: stream.cap,
            rate: stream.rate,
        };
        let tight = (0..).zip(&links.all).filter(|(_, link)| link.tight).map(|(id, _)| id);
        Self {
            capacities: links.all.iter().map(|link| link.capacity).collect(),
            tight: tight.collect(),
            streams: links.streams.iter().map(|s| s.used.then(|| written(s))).collect(),
            free: links.free,
            touched: links.touched,
            touched_streams: links.touched_streams,
        }
    }
}

impl TryFrom<Written> for Links {
    type Error = Unknown;

    fn try_from(written: Written) -> Result<Self, Unknown> {
        let (links, streams) = (written.capacities.len(), written.streams.len());
        let used = |id: &StreamId| written.streams.get(*id as usize).is_some_and(Option::is_some);
        let crossed = written.streams.iter().flatten().flat_map(|stream| &stream.links);
        let link_ids = crossed.chain(&written.touched).chain(&written.tight);
        let known = |what, id: Option<&u32>, count| {
            id.map_or(Ok(()), |id| Err(Unknown { what, id: *id, count }))
        };
        known("link", { link_ids }.find(|id| **id as usize >= links), links)?;
        let touched = &mut written.touched_streams.iter();
        known("stream", touched.find(|id| **id as usize >= streams), streams)?;
        let mut gaps: Vec<StreamId> = written.free.clone();
        gaps.sort_unstable();
        gaps.dedup();
        let gap = |id: &&StreamId| used(id) || **id as usize >= streams;
        known("free stream", gaps.iter().find(gap), gaps.len())?;
        let mut made = Self::new(written.capacities);
        for stream in written.streams {
            let id = made.streams.len() as StreamId;
            made.streams.push(Stream { used: false, ..Stream::over(&[], 0.0) });
            if let Some(stream) = stream {
                made.restore(id, &stream);
            }
        }
        for link in written.tight {
            made.all[link as usize].tight = true;
        }
        made.free = if gaps.len() == written.free.len() { written.free } else { gaps };
        // Making them touched all of them.
        made.touched = written.touched;
        made.touched_streams = written.touched_streams;
        Ok(made)
    }
}

impl Links {
    fn restore(&mut self, id: StreamId, written: &WrittenStream) {
        let stream = Stream::over(&written.links, rate(written.cap));
        self.streams[id as usize] = Stream { rate: rate(written.rate), ..stream };
        self.join(id);
    }
}
