//! What the tests across packages and the lab's programs share: the nine guests of the lab, its
//! configuration, a loop that drives the engine on real hosts, and the campaign of migrations that
//! models learn from and are judged by.

pub mod campaign;
pub mod command;
pub mod draw;
pub mod drive;
pub mod experiment;
pub mod lab_cluster;
