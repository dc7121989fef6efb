//! The program on real hosts, in a lab of its own: steps that run one after the other.

mod bed;
mod drain;
mod modes;
mod refusals;
mod running;
mod trouble;

use bed::Bed;

/// What a step is called, and what it does.
type Step = (&'static str, fn(&Bed));

#[test]
fn the_program_on_real_hosts() {
    let Some(bed) = Bed::up("the_program_on_real_hosts") else { return };
    let steps: [Step; 9] = [
        ("a drain arrives as predicted", drain::arrives),
        ("both transports carry a migration", drain::both_transports),
        ("every mode carries a guest whole", modes::carry),
        ("post-copy has no way back", modes::no_way_back),
        ("stale and edited plans change nothing", refusals::stale_and_edited),
        ("one plan at a time", refusals::beside_another),
        ("killed and resumed", trouble::killed_and_resumed),
        ("Ctrl-C cancels", trouble::interrupted),
        ("the target loses its power", trouble::target_without_power),
    ];
    for (name, step) in steps {
        let begun = std::time::Instant::now();
        step(&bed);
        eprintln!("{:6.1} s  {name}", begun.elapsed().as_secs_f64());
    }
}
