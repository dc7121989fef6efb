//! `whimbrel capacity`: how many more domains of given sizes fit; changes nothing.

use whimbrel_planner::placing::{self, Capacity, CapacityRequest, Flavour, Loss, Stop};

use super::{
    Common, Ending, Format,
    flavour::Size,
    place::{left, room},
    print_json,
    source::SourceArguments,
    table::table,
};
use crate::Failure;

/// Arguments of `capacity`.
#[derive(Debug, clap::Args)]
pub(super) struct CapacityArguments {
    /// Sizes of domains, such as "32 GiB,8" or small="4 GiB,2": memory and vCPUs; a third figure
    /// is the number of cores that one is expected to keep busy, half of its vCPUs if left out
    #[arg(
        required = true,
        value_name = "[NAME=]MEMORY,VCPUS[,CORES]",
        value_parser = named_size
    )]
    sizes: Vec<NamedSize>,
    /// All sizes together, so many of each in a round, such as 3,1; without it each on its own
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    mix: Vec<u32>,
    /// Count only as far as the loss of any one host is survived: all of its domains could start
    /// again on the others
    #[arg(long)]
    survive_loss: bool,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

/// A size with a name for the answer.
#[derive(Debug, Clone)]
struct NamedSize {
    name: String,
    size: Size,
}

fn named_size(text: &str) -> Result<NamedSize, String> {
    let (name, size) = text.split_once('=').unwrap_or((text, text));
    Ok(NamedSize { name: name.trim().to_owned(), size: size.parse()? })
}

impl CapacityArguments {
    /// The question as the planner is asked it.
    pub(super) fn asked(&self) -> Result<CapacityRequest, Failure> {
        let mixed = !self.mix.is_empty();
        if mixed && self.mix.len() != self.sizes.len() {
            return Err(Failure::invalid(format!(
                "--mix has {} numbers for {} sizes (hint: give one for each, such as --mix 3,1)",
                self.mix.len(),
                self.sizes.len()
            )));
        }
        let times = self.mix.iter().copied().chain(std::iter::repeat(1));
        let flavour = |(one, times): (&NamedSize, u32)| Flavour {
            name: one.name.clone(),
            vcpus: one.size.vcpus,
            memory: one.size.memory,
            demand_cores: one.size.cores,
            times,
        };
        Ok(CapacityRequest {
            flavours: self.sizes.iter().zip(times).map(flavour).collect(),
            mixed,
            survive_loss: self.survive_loss,
        })
    }
}

pub(super) fn run(common: &Common, own: &CapacityArguments) -> Result<Ending, Failure> {
    let request = own.asked()?;
    let room = room(common, &own.source)?;
    show(common, &placing::capacity(&room, &request)?)
}

/// Prints the answers in the form that was asked for.
pub(super) fn show(common: &Common, answers: &[Capacity]) -> Result<Ending, Failure> {
    match common.output {
        Format::Json => print_json(&answers)?,
        Format::Table => print(answers),
    }
    let none = answers.iter().all(|answer| answer.fits.iter().all(|fit| fit.more == 0));
    Ok(if none { Ending::No } else { Ending::Done })
}

fn print(answers: &[Capacity]) {
    let mut rows = table(&["size", ">more fit", "left over then"]);
    for answer in answers {
        for fit in &answer.fits {
            rows.add_row([
                fit.flavour.clone(),
                fit.more.to_string(),
                left(answer.memory_left, answer.vcpus_left),
            ]);
        }
    }
    say!("{rows}");
    for answer in answers {
        if answer.fits.len() > 1 {
            say!("whole rounds of the mix: {}", answer.rounds);
        }
        say!("{}", why(&answer.stop));
    }
}

/// Why it is not one more.
fn why(stop: &Stop) -> String {
    match stop {
        Stop::Full { flavour, refused } => format!("no host takes one more {flavour}: {refused}"),
        Stop::LossNotSurvived { flavour, loss, hosts } => format!(
            "{hosts} hosts have room for one more {flavour}, but then {} would not be survived",
            lost(loss)
        ),
        Stop::UnsafeAlready { losses } => {
            const SHOWN: usize = 3;
            let shown: Vec<String> = losses.iter().take(SHOWN).map(lost).collect();
            let more = losses.len().saturating_sub(SHOWN);
            let more = if more == 0 { String::new() } else { format!(", and {more} more") };
            format!(
                "none, because these losses are not survived as it is: {}{more} \
                 (hint: free room, or count without --survive-loss)",
                shown.join("; ")
            )
        }
        Stop::Counted => {
            "a million fit; nobody counted on (hint: ask for a larger size)".to_owned()
        }
    }
}

/// A loss and the first machine that it strands.
fn lost(loss: &Loss) -> String {
    let more = loss.stranded.len().saturating_sub(1);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let first = loss.stranded.first();
    let first = first.map_or(String::new(), |one| format!(" ({}{more}: {})", one.vm, one.refused));
    format!("the loss of {}{first}", loss.host)
}
