//! What Whimbrel is asked with: a predictor that learnt from a campaign, or from a file.
//!
//! It never learns from an experiment's own runs, so that the first run and the last are told by
//! the same.

use std::{path::Path, sync::Arc};

use whimbrel::{Failure, teaching};
use whimbrel_datasets::{Campaign, CampaignSet};
use whimbrel_models::ReplayPredictor;

use crate::campaign::error::CampaignError;

/// The predictor of the model in `file`, or of what guests of `campaign` teach that are there to.
///
/// # Errors
/// [`CampaignError::Setup`] naming what cannot be read.
pub fn predictor(
    file: Option<&Path>,
    campaign: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<Arc<ReplayPredictor>, CampaignError> {
    let model = if let Some(file) = file {
        teaching::model(Some(file), &[])?
    } else {
        let campaign = Campaign::read(campaign).map_err(Failure::invalid)?;
        let traces: Vec<_> = campaign.of(CampaignSet::Learn).cloned().collect();
        say(&format!("learning from {} migrations", traces.len()));
        teaching::teach(&traces).parameters
    };
    say(&format!("the model learnt from {} migrations", model.learnt_from));
    Ok(Arc::new(ReplayPredictor { model }))
}
