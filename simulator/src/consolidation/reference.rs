//! The heuristics of Beloglazov and Buyya (CCPE 2012) as the reference runs them.
//!
//! Hosts that are [`Overload`]ed lose guests by [`Selection`] until they are not; those go where
//! power rises least; then the least loaded hosts are emptied one by one. What is tried out is tried
//! on copies, with the reference's sums.
//!
//! Never here: what happens to the moves that are proposed.

mod decide;
mod overload;
mod regress;
mod select;
mod trial;

pub(super) use decide::Heuristic;
pub use decide::Rules;
pub use overload::Overload;
pub use select::Selection;
